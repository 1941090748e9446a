#include "pair.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace penultimate {
namespace {

constexpr int kMostAdditions = 256;  // violators that join the working set in a round
constexpr int kPatience = 12;      // rounds without progress before a precision gives up
constexpr double kProgress = 0.9;  // what counts as progress: a gap below this share of the best
constexpr double kFastShare = 0.8; // of the tolerance, so that float64 mostly has only to agree
constexpr double kInnerShare = 0.1; // of the gap, to which a working set is optimised
constexpr int kSmall = 384;         // pairs up to this size are one working set
constexpr int kAlignment = 16;     // values in the longest vector

// Coefficients, bounds and residuals of all samples of the pair, in float64 in either phase.
struct State {
    std::vector<double> b, low, high, f;
    int n = 0;

    bool may_grow(int k) const { return b[size_t(k)] < high[size_t(k)]; }
    bool may_shrink(int k) const { return b[size_t(k)] > low[size_t(k)]; }
};

struct Gap {
    double largest, smallest;  // of residuals that may grow, and that may shrink
    // Not a number where a residual is not finite; minus infinity where nothing may move.
    double size() const { return largest - smallest; }
    double middle() const { return 0.5 * (largest + smallest); }
};

Gap find_gap(const State& s) {
    Gap gap{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    double sum = 0;
    for (int k = 0; k < s.n; ++k) {
        if (s.may_grow(k)) gap.largest = std::max(gap.largest, s.f[size_t(k)]);
        if (s.may_shrink(k)) gap.smallest = std::min(gap.smallest, s.f[size_t(k)]);
        sum += s.f[size_t(k)];
    }
    // Comparisons do not see residuals that are no numbers, as when kernel values overflow.
    if (!std::isfinite(sum)) gap.largest = std::nan("");
    return gap;
}

// Loads are unaligned, so plain vectors do; they live for a whole problem.
template <class T>
struct Buffers {
    std::vector<T> K, f, diagonal, grow, shrink;
    std::vector<double> b, low, high;
};

template <class T>
class Phase {
public:
    Phase(const Data& data, const Samples<T>& samples, const PairProblem& problem, double tolerance,
          State& state)
        : kernels_(kernels<T>(*data.variant)),
          rows_(samples, data.kernel, problem.first, problem.second, data.blas, kernels_,
                data.memory),
          problem_(problem), data_(data), tolerance_(tolerance), s_(state),
          chosen_(size_t(state.n), 0) {}

    // Residuals from scratch, with this phase's kernel values.
    void recompute_residuals() {
        for (int k = 0; k < s_.n; ++k) s_.f[size_t(k)] = k < problem_.first.size() ? 1.0 : -1.0;
        std::vector<int> part;
        std::vector<double> steps;
        for (int k = 0; k < s_.n; ++k) {
            if (s_.b[size_t(k)] != 0) {
                part.push_back(k);
                steps.push_back(s_.b[size_t(k)]);
            }
            if (part.size() == 512 || (k + 1 == s_.n && !part.empty())) {
                subtract(part, steps);
                part.clear();
                steps.clear();
            }
        }
    }

    // Rounds of: add the worst violators, optimise the working set, update all residuals.
    Status run(int64_t* iterations) {
        double best = std::numeric_limits<double>::infinity();
        int stale = 0;
        start_working_set();
        for (int round = 0;; ++round) {
            const Gap gap = find_gap(s_);
            if (std::isnan(gap.size())) return Status::precision_limit;
            if (gap.size() <= tolerance_) return Status::converged;
            if (data_.cancelled && data_.cancelled->load(std::memory_order_relaxed))
                return Status::cancelled;
            if (*iterations >= problem_.max_iterations) return Status::iteration_limit;
            stale = gap.size() < kProgress * best ? 0 : stale + 1;
            best = std::min(best, gap.size());
            if (stale > kPatience) return Status::precision_limit;
            add_violators(gap, round == 0);
            *iterations += optimise(gap, problem_.max_iterations - *iterations);
            keep_active();
        }
    }

private:
    void start_working_set() {
        std::fill(chosen_.begin(), chosen_.end(), 0);
        set_.clear();
        for (int k = 0; k < s_.n; ++k)
            if (s_.n <= kSmall || (s_.may_grow(k) && s_.may_shrink(k))) choose(k);
    }

    void choose(int k) {
        if (chosen_[size_t(k)]) return;
        chosen_[size_t(k)] = 1;
        set_.push_back(k);
    }

    void add_violators(const Gap& gap, bool first) {
        candidates_.clear();
        for (int k = 0; k < s_.n; ++k) {
            if (chosen_[size_t(k)]) continue;
            double violation = 0;
            if (s_.may_grow(k)) violation = std::max(violation, s_.f[size_t(k)] - gap.smallest);
            if (s_.may_shrink(k)) violation = std::max(violation, gap.largest - s_.f[size_t(k)]);
            if (violation > 0.5 * tolerance_) candidates_.push_back({violation, k});
        }
        const int additions = std::clamp(s_.n / 16, 32, kMostAdditions);
        const size_t wanted = std::min<size_t>(size_t(additions), candidates_.size());
        if (first && set_.empty()) {
            // All residuals are still equal within a class: spread over both.
            for (size_t z = 0; z < wanted; ++z)
                choose(candidates_[z * candidates_.size() / wanted].second);
        } else {
            std::nth_element(candidates_.begin(), candidates_.begin() + ptrdiff_t(wanted),
                             candidates_.end(), std::greater<>());
            for (size_t z = 0; z < wanted; ++z) choose(candidates_[z].second);
        }
        std::sort(set_.begin(), set_.end());
    }

    int64_t optimise(const Gap& gap, int64_t max_iterations) {
        rows_.ensure(set_);
        const int n = int(set_.size());
        const int stride = (n + kAlignment - 1) / kAlignment * kAlignment;
        fill_buffers(n, stride);
        WorkingSet<T> set{buffers_.K.data(), n, stride, buffers_.f.data(),
                          buffers_.diagonal.data(), buffers_.grow.data(), buffers_.shrink.data(),
                          buffers_.b.data(), buffers_.low.data(), buffers_.high.data(),
                          // Far from the end, samples that are not in the set will change it.
                          int(set_.size()) == s_.n ? tolerance_
                                                   : std::max(tolerance_, kInnerShare * gap.size()),
                          std::min<int64_t>(max_iterations, 50000 + int64_t(200) * n)};
        const int64_t iterations = kernels_.optimise(set);
        std::vector<int> moved;
        std::vector<double> steps;
        for (int a = 0; a < n; ++a) {
            const size_t k = size_t(set_[size_t(a)]);
            const double step = buffers_.b[size_t(a)] - s_.b[k];
            if (step == 0) continue;
            moved.push_back(int(k));
            steps.push_back(step);
            s_.b[k] = buffers_.b[size_t(a)];
        }
        subtract(moved, steps);
        return iterations;
    }

    void fill_buffers(int n, int stride) {
        const size_t size = size_t(stride);
        const T inf = std::numeric_limits<T>::infinity();
        buffers_.K.resize(std::max(buffers_.K.size(), size * size));
        buffers_.f.assign(size, T(0));
        buffers_.diagonal.assign(size, T(1));
        buffers_.grow.assign(size, -inf);
        buffers_.shrink.assign(size, inf);
        for (auto* v : {&buffers_.b, &buffers_.low, &buffers_.high}) v->assign(size, 0.0);
        const int n_first = int(
            std::lower_bound(set_.begin(), set_.end(), rows_.n_first()) - set_.begin());
        for (int a = 0; a < n; ++a) {
            const int k = set_[size_t(a)];
            T* packed = buffers_.K.data() + size_t(a) * size;
            const T* row = rows_.with_first(k);
            int c = 0;
            for (; c < n_first; ++c) packed[c] = row[set_[size_t(c)]];
            row = rows_.with_second(k) - rows_.n_first();
            for (; c < n; ++c) packed[c] = row[set_[size_t(c)]];
            std::fill(packed + n, packed + stride, T(0));
            buffers_.f[size_t(a)] = T(s_.f[size_t(k)]);
            buffers_.diagonal[size_t(a)] = rows_.diagonal(k);
            buffers_.b[size_t(a)] = s_.b[size_t(k)];
            buffers_.low[size_t(a)] = s_.low[size_t(k)];
            buffers_.high[size_t(a)] = s_.high[size_t(k)];
            if (s_.may_grow(k)) buffers_.grow[size_t(a)] = T(0);
            if (s_.may_shrink(k)) buffers_.shrink[size_t(a)] = T(0);
        }
    }

    // Keeps the free coefficients, and those at a bound that are near to leaving it.
    void keep_active() {
        const Gap gap = find_gap(s_);
        const double margin = std::max(gap.size(), 0.5);
        size_t kept = 0;
        for (int k : set_) {
            const bool free = s_.may_grow(k) && s_.may_shrink(k);
            if (free || std::abs(s_.f[size_t(k)] - gap.middle()) < margin)
                set_[kept++] = k;
            else
                chosen_[size_t(k)] = 0;
        }
        set_.resize(kept);
    }

    void subtract(const std::vector<int>& moved, const std::vector<double>& steps) {
        rows_.ensure(moved);
        const int n_first = rows_.n_first(), n_moved = int(moved.size());
        pointers_.clear();
        for (int k : moved) pointers_.push_back(rows_.with_first(k));
        kernels_.subtract_rows(s_.f.data(), pointers_.data(), steps.data(), n_moved, n_first);
        pointers_.clear();
        for (int k : moved) pointers_.push_back(rows_.with_second(k));
        kernels_.subtract_rows(s_.f.data() + n_first, pointers_.data(), steps.data(), n_moved,
                               s_.n - n_first);
    }

    Kernels<T> kernels_;
    Rows<T> rows_;
    const PairProblem& problem_;
    const Data& data_;
    const double tolerance_;
    State& s_;
    std::vector<char> chosen_;
    std::vector<int> set_;
    std::vector<std::pair<double, int>> candidates_;
    std::vector<const T*> pointers_;
    Buffers<T> buffers_;
};

State cold_start(const PairProblem& problem) {
    State s;
    s.n = problem.first.size() + problem.second.size();
    const size_t n = size_t(s.n);
    s.b.assign(n, 0.0);
    s.low.assign(n, 0.0);
    s.high.assign(n, 0.0);
    s.f.resize(n);
    for (size_t k = 0; k < n; ++k) s.f[k] = int(k) < problem.first.size() ? 1.0 : -1.0;
    return s;
}

void set_bounds(State& s, const PairProblem& problem, double factor) {
    const int n_first = problem.first.size();
    for (int k = 0; k < n_first; ++k)
        s.high[size_t(k)] = factor * problem.upper[problem.first.begin + k];
    for (int k = n_first; k < s.n; ++k)
        s.low[size_t(k)] = -factor * problem.upper[problem.second.begin + k - n_first];
}

double find_intercept(const State& s, const Gap& gap) {
    double sum = 0;
    int count = 0;
    for (int k = 0; k < s.n; ++k)
        if (s.may_grow(k) && s.may_shrink(k)) sum += s.f[size_t(k)], ++count;
    if (count) return sum / count;
    const double middle = gap.middle();
    return std::isfinite(middle) ? middle : 0.0;
}

void conclude(const State& s, Solution& solution) {
    const Gap gap = find_gap(s);
    // Infinite where a side is empty, and nothing may move: that is an optimum.
    solution.gap = std::isinf(gap.size()) ? 0.0 : std::max(gap.size(), 0.0);
    if (std::isnan(gap.size())) solution.gap = std::numeric_limits<double>::infinity();
    solution.intercept = find_intercept(s, gap);
    solution.b = s.b;
}

}  // namespace

Solution solve_pair(const Data& data, const PairProblem& problem) {
    State s = cold_start(problem);
    set_bounds(s, problem, 1.0);
    Solution solution;
    // The float32 phase cannot see below the rounding of its residuals: it ends when it makes no
    // more progress. What is left is for float64.
    if (data.single.values) {
        Phase<float> fast(data, data.single, problem, kFastShare * problem.tolerance, s);
        solution.status = fast.run(&solution.iterations);
        if (std::isnan(find_gap(s).size())) {
            s = cold_start(problem);
            set_bounds(s, problem, 1.0);
        }
    }
    if (solution.status != Status::cancelled) {
        Phase<double> exact(data, data.twice, problem, problem.tolerance, s);
        if (data.single.values) exact.recompute_residuals();
        solution.status = exact.run(&solution.iterations);
    }
    conclude(s, solution);
    return solution;
}

void solve_path(const Data& data, const PairProblem& problem, const std::vector<double>& factors,
                const std::function<void(size_t, const Solution&)>& found) {
    State s = cold_start(problem);
    Phase<float> phase(data, data.single, problem, problem.tolerance, s);
    Solution solution;
    for (size_t c = 0; c < factors.size(); ++c) {
        set_bounds(s, problem, factors[c]);
        solution.iterations = 0;
        solution.status = phase.run(&solution.iterations);
        if (solution.status == Status::cancelled) return;
        conclude(s, solution);
        found(c, solution);
    }
}

}  // namespace penultimate
