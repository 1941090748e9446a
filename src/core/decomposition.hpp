// Decomposition of a pair's dual problem, in float32 or in float64.
//
// The full Gram matrix is never needed: each round takes the samples that violate the optimality
// conditions the most into a small working set, solves the problem on that set alone (sequential
// minimal optimization, kernels.inl), and updates the residuals of all samples with the rows of
// those that moved. The residuals and coefficients are float64 in both precisions; T is the type of
// the kernel values and of the inner loop.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>

#include "dual.hpp"
#include "inner_problem.hpp"
#include "moves.hpp"
#include "newton.hpp"
#include "packed.hpp"

namespace penultimate {

enum class Status : int { converged = 0, precision_limit = 1, iteration_limit = 2, cancelled = 3 };

template <class T>
struct Buffers {
    Storage<T> products, rows, packed;
    Gathered<T> gathered;
};

struct Limits {
    double tolerance = 1e-3;
    int64_t max_iterations = 0;
    const std::atomic<bool>* cancelled = nullptr;
};

// What the solver works with, in one precision.
template <class T>
struct Resources {
    const Kernels<T>& kernels;
    const Blas& blas;
    size_t memory;  // bytes for Gram rows
    Buffers<T>& buffers;
};

template <class T>
class Decomposition {
public:
    Decomposition(GramSource<T>& source, const Kernel& kernel, const Resources<T>& resources,
                  const Limits& limits, Dual& dual)
        : rows_(source, kernel, resources.kernels, resources.memory, resources.buffers.rows),
          kernels_(resources.kernels), blas_(resources.blas), limits_(limits), dual_(dual),
          packed_(dual.n, resources.buffers.packed), chosen_(size_t(dual.n), 0) {}

    // Computes the residuals with kernel values of this precision: from scratch or, where those of a
    // start are known, from these and all that has moved since, in one sum.
    void recompute_residuals() {
        for (int k = 0; k < dual_.n; ++k) {
            const double since = known_b_.empty() ? 0.0 : known_b_[size_t(k)];
            const double step = dual_.b[size_t(k)] - since;
            dual_.f[size_t(k)] = known_f_.empty() ? dual_.label(k) : known_f_[size_t(k)];
            if (step != 0) moves_.note(k, step);
        }
        moves_.apply(rows_, kernels_, dual_);
    }

    // Takes over coefficients with their residuals; those that are NaN, of samples that came since,
    // are computed, from one row each.
    void know(const std::vector<double>& b, const std::vector<double>& f) {
        known_b_ = b;
        known_f_ = f;
        for (int k = 0; k < dual_.n; ++k) {
            double& residual = known_f_[size_t(k)];
            if (!std::isnan(residual)) continue;
            rows_.ensure(&k, 1);
            residual = dual_.label(k);
            for (int l = 0; l < dual_.n; ++l) residual -= b[size_t(l)] * double(rows_[k][l]);
        }
    }

    // Makes the coefficients feasible for new bounds: clips them, then restores their zero sum.
    void repair() {
        double excess = 0;
        for (int k = 0; k < dual_.n; ++k) {
            double& b = dual_.b[size_t(k)];
            const double step = std::clamp(b, dual_.low[size_t(k)], dual_.high[size_t(k)]) - b;
            if (step == 0) continue;
            moves_.note(k, step);
            b += step;
            excess += step;
        }
        moves_.apply(rows_, kernels_, dual_);
        balance(excess);
    }

    // Starts from the coefficients of another problem, say the same with other samples: clips them
    // to the bounds, computes the residuals, and restores the zero sum. A solution of this very
    // problem is left as it is, to the bit.
    void start_from(const std::vector<double>& start) {
        double sum = 0, size = 0;
        for (int k = 0; k < dual_.n; ++k) {
            double& b = dual_.b[size_t(k)];
            b = std::clamp(start[size_t(k)], dual_.low[size_t(k)], dual_.high[size_t(k)]);
            sum += b;
            size += std::abs(b);
        }
        recompute_residuals();
        if (std::abs(sum) <= kZeroSum * size) return;
        balance(sum);
        recompute_residuals();
    }

    // Runs rounds of: add the worst violators, optimize the working set, update all residuals.
    // `gap` receives the gap that remains.
    Status run(int64_t* iterations, Gap& gap) {
        double best = std::numeric_limits<double>::infinity(), gain = 0;
        int stale = 0;
        start_working_set();
        gap = find_gap(dual_);
        for (int round = 0;; ++round) {
            if (std::isnan(gap.size())) return Status::precision_limit;
            if (gap.size() <= limits_.tolerance) return Status::converged;
            if (cancelled()) return Status::cancelled;
            if (*iterations >= limits_.max_iterations) return Status::iteration_limit;
            const bool progress = gap.size() < kProgress * best ||
                                  gain > kLeastGain * std::abs(dual_.objective());
            stale = progress ? 0 : stale + 1;
            best = std::min(best, gap.size());
            if (stale > kPatience) return Status::precision_limit;
            add_violators(gap, round == 0);
            // More samples than `Best` has bits for: float64 has them.
            if (set_.size() > size_t(most_places<T>)) return Status::precision_limit;
            *iterations += optimize(gap, limits_.max_iterations - *iterations);
            gain = moves_.apply(rows_, kernels_, dual_);
            gap = find_gap(dual_);
            keep_active(gap);
        }
    }

private:
    // All constants decide how long a solution takes, not what is certified, which depends on the
    // tolerance alone. benchmarks/core_constants.py measures other values; where it says little,
    // so does the comment here.
    //
    // Violators that join the working set per round. More mean larger multiplications, which BLAS
    // does faster, but rows of samples that never move. From 64 to 1,024 it hardly matters.
    static constexpr int kMostAdditions = 256;
    // Rounds without progress before a phase gives up. Violations go up and down from round to
    // round, and a phase in float32 that gave up early would leave the work to float64.
    static constexpr int kPatience = 12;
    // Progress is a gap below this share of the best gap, or this relative gain of the objective.
    // The gap alone would not do: on kernels of low rank it goes up and down for many thousands of
    // iterations. The gain is well above the rounding of an objective in T.
    static constexpr double kProgress = 0.9;
    static constexpr double kLeastGain = sizeof(T) == 4 ? 1e-6 : 1e-11;
    // Of the gap, to which a working set is optimized. Finer is wasted on a set that is about to
    // change, coarser makes more rounds: 0.01 and 0.5 are both slower.
    static constexpr double kInnerShare = 0.1;
    // Iterations of a round, at most, beyond which Newton steps are tried.
    static constexpr int kInnerIterations = 2000, kIterationsPerPlace = 20;
    // Newton steps after a round that hit that limit. Each but the last stops at a bound,
    // and so fixes one coefficient.
    static constexpr int kNewtonSteps = 32;
    // Pairs up to this size are one working set from the start: their rows are a few vectors.
    static constexpr int kSmall = 128;
    // A sum of coefficients this far from zero, as a share of their sizes, is rounding. The moves of
    // a solution come in pairs that cancel but for that.
    static constexpr double kZeroSum = 1e-12;
    // A sample stays in the set while its decision value is this close to its margin of +-1.
    static constexpr double kActiveMargin = 0.5;

    bool cancelled() const {
        return limits_.cancelled && limits_.cancelled->load(std::memory_order_relaxed);
    }

    void start_working_set() {
        std::fill(chosen_.begin(), chosen_.end(), 0);
        set_.clear();
        for (int k = 0; k < dual_.n; ++k)
            if (dual_.n <= kSmall || dual_.is_free(k)) choose(k);
    }

    void choose(int k) {
        if (chosen_[size_t(k)]) return;
        chosen_[size_t(k)] = 1;
        set_.push_back(k);
    }

    void add_violators(const Gap& gap, bool first) {
        candidates_.clear();
        for (int k = 0; k < dual_.n; ++k) {
            if (chosen_[size_t(k)]) continue;
            const double f = dual_.f[size_t(k)];
            double violation = 0;
            if (dual_.may_grow(k)) violation = f - gap.smallest;
            if (dual_.may_shrink(k)) violation = std::max(violation, gap.largest - f);
            if (violation > 0.5 * limits_.tolerance) candidates_.push_back({violation, k});
        }
        const int additions = std::clamp(dual_.n / 16, 32, kMostAdditions);
        const size_t wanted = std::min<size_t>(size_t(additions), candidates_.size());
        if (first && set_.empty()) {
            // A cold start: the residuals are the labels, equal within a class, and an order by
            // violation would be arbitrary. Take candidates evenly from both classes.
            for (size_t z = 0; z < wanted; ++z)
                choose(candidates_[z * candidates_.size() / wanted].second);
        } else {
            std::nth_element(candidates_.begin(), candidates_.begin() + ptrdiff_t(wanted),
                             candidates_.end(), std::greater<>());
            for (size_t z = 0; z < wanted; ++z) choose(candidates_[z].second);
        }
    }

    // Optimizes the working set, and notes the moves.
    int64_t optimize(const Gap& gap, int64_t max_iterations) {
        if (!packed_.add(set_, rows_, [this] { return cancelled(); })) return 0;
        WorkingSet<T> set = inner_.load(dual_, set_, packed_, rows_, gap.middle());
        // Far from the end, samples outside the set will still change its solution, and precision
        // here is wasted; a set of all samples has no outside.
        const bool is_whole = int(set_.size()) == dual_.n;
        set.tolerance = is_whole ? limits_.tolerance
                                 : std::max(limits_.tolerance, kInnerShare * gap.size());
        set.max_iterations = std::min<int64_t>(
            max_iterations, kInnerIterations + int64_t(kIterationsPerPlace) * packed_.size());
        const int64_t iterations = kernels_.optimize(set);
        // Pairwise steps that do not end by themselves are many and tiny; see newton.hpp.
        if (iterations == set.max_iterations)
            for (int k = 0; k < kNewtonSteps && !cancelled() && newton_.step(set, blas_); ++k)
                continue;
        for (int k : set_) {
            double& b = dual_.b[size_t(k)];
            const double now = inner_.b(packed_.place(k));
            if (now == b) continue;
            moves_.note(k, now - b);
            b = now;
        }
        return iterations;
    }

    // Keeps the free coefficients, and those at a bound that are close to leaving it. The distance
    // of f from the intercept, here the middle, is that of a decision value from its margin of +-1.
    void keep_active(const Gap& gap) {
        const double margin = std::max(gap.size(), kActiveMargin);
        size_t kept = 0;
        for (int k : set_) {
            if (dual_.is_free(k) || std::abs(dual_.f[size_t(k)] - gap.middle()) < margin)
                set_[kept++] = k;
            else
                chosen_[size_t(k)] = 0;
        }
        set_.resize(kept);
    }

    // Removes `excess` from the sum of all coefficients, where that raises the objective the most.
    void balance(double excess) {
        const double sign = excess > 0 ? -1.0 : 1.0;
        candidates_.clear();
        for (int k = 0; k < dual_.n; ++k)
            if (excess > 0 ? dual_.may_shrink(k) : dual_.may_grow(k))
                candidates_.push_back({sign * dual_.f[size_t(k)], k});
        std::sort(candidates_.begin(), candidates_.end(), std::greater<>());
        double rest = std::abs(excess);
        for (const auto& [gain, k] : candidates_) {
            if (!(rest > 0)) break;
            double& b = dual_.b[size_t(k)];
            const double bound = excess > 0 ? dual_.low[size_t(k)] : dual_.high[size_t(k)];
            const double room = std::abs(bound - b), step = sign * std::min(rest, room);
            b = rest < room ? b + step : bound;
            rest -= std::abs(step);
            moves_.note(k, step);
        }
        moves_.apply(rows_, kernels_, dual_);
    }

    Rows<T> rows_;
    Kernels<T> kernels_;
    Blas blas_;
    Limits limits_;
    Dual& dual_;
    Packed<T> packed_;
    InnerProblem<T> inner_;
    Newton<T> newton_;
    Moves<T> moves_;
    std::vector<int> set_;      // the working set
    std::vector<char> chosen_;  // 1 for each sample in it
    std::vector<double> known_b_, known_f_;  // of a start; empty without one that is known
    std::vector<std::pair<double, int>> candidates_;
};

}  // namespace penultimate
