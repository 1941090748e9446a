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
#include "newton.hpp"
#include "packed.hpp"

namespace penultimate {

enum class Status : int { converged = 0, precision_limit = 1, iteration_limit = 2, cancelled = 3 };

template <class T>
struct Buffers {
    Storage<T> products, rows, packed;
};

struct Limits {
    double tolerance = 1e-3;
    int64_t max_iterations = 0;
    const std::atomic<bool>* cancelled = nullptr;
};

template <class T>
class Decomposition {
public:
    Decomposition(Products<T>& products, const Kernel& kernel, const Kernels<T>& kernels,
                  const Blas& blas, size_t memory, const Limits& limits, Dual& dual,
                  Buffers<T>& buffers)
        : rows_(products, kernel, kernels, memory, buffers.rows), kernels_(kernels), blas_(blas),
          limits_(limits), dual_(dual), packed_(dual.n, buffers.packed), chosen_(size_t(dual.n), 0) {}

    // Computes the residuals from scratch, with kernel values of this precision.
    void recompute_residuals() {
        moved_.clear();
        steps_.clear();
        for (int k = 0; k < dual_.n; ++k) {
            const double b = dual_.b[size_t(k)];
            dual_.f[size_t(k)] = dual_.label(k);
            if (b != 0) note_move(k, b);
        }
        subtract_moves();
    }

    // Makes the coefficients feasible for new bounds: clips them, then restores their zero sum.
    void repair() {
        moved_.clear();
        steps_.clear();
        double excess = 0;
        for (int k = 0; k < dual_.n; ++k) {
            double& b = dual_.b[size_t(k)];
            const double step = std::clamp(b, dual_.low[size_t(k)], dual_.high[size_t(k)]) - b;
            if (step == 0) continue;
            note_move(k, step);
            b += step;
            excess += step;
        }
        subtract_moves();
        balance(excess);
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
            *iterations += optimise(gap, limits_.max_iterations - *iterations);
            gain = gain_of_moves();
            gap = find_gap(dual_);
            keep_active(gap);
        }
    }

private:
    // kMostAdditions, kInnerShare and kSmall change how long a solution takes, not what is
    // certified, which depends on the tolerance alone. Many additions per round mean few
    // multiplications of large blocks, which BLAS does fast; few mean that fewer rows are made for
    // samples that never move.
    static constexpr int kMostAdditions = 256;   // violators that join the working set per round
    static constexpr int kPatience = 12;         // rounds without progress before giving up
    // Progress is a gap below this share of the best gap, or this relative gain of the objective.
    // The gap alone would not do: on kernels of low rank it goes up and down for many thousands of
    // iterations.
    static constexpr double kProgress = 0.9;
    static constexpr double kLeastGain = sizeof(T) == 4 ? 1e-6 : 1e-11;
    static constexpr double kInnerShare = 0.1;   // of the gap, to which a set is optimized
    static constexpr int kNewtonSteps = 32;      // at most, after a round that hit its limit
    static constexpr int kSmall = 128;           // pairs up to this size are one working set

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

    int64_t optimise(const Gap& gap, int64_t max_iterations) {
        moved_.clear();
        steps_.clear();
        gain_ = 0;
        if (!packed_.admit(set_, rows_, [this] { return cancelled(); })) return 0;
        const int n = packed_.size(), width = Packed<T>::round_up(n);
        load(gap.middle(), width);
        WorkingSet<T> set{packed_.values(), width, packed_.stride(), f_.data(), diagonal_.data(),
                          grow_.data(), shrink_.data(), b_.data(), low_.data(), high_.data(),
                          // Far from the end, samples outside the set will still change its
                          // solution, and precision here is wasted; a set of all samples has no
                          // outside.
                          int(set_.size()) == dual_.n
                              ? limits_.tolerance
                              : std::max(limits_.tolerance, kInnerShare * gap.size()),
                          std::min<int64_t>(max_iterations, 2000 + int64_t(20) * n)};
        const int64_t iterations = kernels_.optimise(set);
        // Pairwise steps that do not end by themselves are many and tiny; see newton.hpp.
        if (iterations == set.max_iterations)
            for (int k = 0; k < kNewtonSteps && !cancelled() && newton_.step(set, blas_); ++k)
                continue;
        for (int k : set_) {
            double& b = dual_.b[size_t(k)];
            const double now = b_[size_t(packed_.place(k))];
            if (now == b) continue;
            note_move(k, now - b);
            gain_ += (now - b) * dual_.f[size_t(k)];
            b = now;
        }
        subtract_moves();
        return iterations;
    }

    // The increase of the objective by the last moves. The objective is quadratic and the residuals
    // are its gradient, so this is exactly the moves times the mean of the residuals before and
    // after.
    double gain_of_moves() const {
        double after = 0;
        for (size_t m = 0; m < moved_.size(); ++m) after += steps_[m] * dual_.f[size_t(moved_[m])];
        return 0.5 * (gain_ + after);
    }

    // Fills the working set's arrays, place by place. Only differences of residuals matter, so they
    // are taken relative to the middle of the gap: a T resolves values best near zero, and the bits
    // that `Best` (kernels.inl) takes from them are then a share of the gap, not of the residuals'
    // common offset. Places that are vacant or padding can neither grow nor shrink.
    void load(double middle, int width) {
        const size_t size = size_t(width);
        for (auto* v : {&f_, &diagonal_}) v->assign(size, T(0));
        grow_.assign(size, -forbidden<T>);
        shrink_.assign(size, forbidden<T>);
        for (auto* v : {&b_, &low_, &high_}) v->assign(size, 0.0);
        for (int k : set_) {
            const size_t p = size_t(packed_.place(k)), s = size_t(k);
            f_[p] = T(dual_.f[s] - middle);
            diagonal_[p] = rows_.diagonal(k);
            b_[p] = dual_.b[s];
            low_[p] = dual_.low[s];
            high_[p] = dual_.high[s];
            if (dual_.may_grow(k)) grow_[p] = T(0);
            if (dual_.may_shrink(k)) shrink_[p] = T(0);
        }
    }

    // Keeps the free coefficients, and those at a bound that are close to leaving it. The distance
    // of f from the intercept, here the middle, is that of a decision value from its margin of +-1.
    void keep_active(const Gap& gap) {
        const double margin = std::max(gap.size(), 0.5);
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
        moved_.clear();
        steps_.clear();
        double rest = std::abs(excess);
        for (const auto& [gain, k] : candidates_) {
            if (!(rest > 0)) break;
            double& b = dual_.b[size_t(k)];
            const double bound = excess > 0 ? dual_.low[size_t(k)] : dual_.high[size_t(k)];
            const double room = std::abs(bound - b), step = sign * std::min(rest, room);
            b = rest < room ? b + step : bound;
            rest -= std::abs(step);
            note_move(k, step);
        }
        subtract_moves();
    }

    void note_move(int k, double step) {
        moved_.push_back(k);
        steps_.push_back(step);
    }

    void subtract_moves() {
        for (size_t begin = 0; begin < moved_.size(); begin += size_t(Rows<T>::kMostAtOnce)) {
            const size_t count = std::min(moved_.size() - begin, size_t(Rows<T>::kMostAtOnce));
            rows_.ensure(moved_.data() + begin, count);
            pointers_.clear();
            for (size_t m = begin; m < begin + count; ++m) pointers_.push_back(rows_[moved_[m]]);
            kernels_.subtract_rows(dual_.f.data(), pointers_.data(), steps_.data() + begin,
                                   int(count), dual_.n);
        }
    }

    Rows<T> rows_;
    Kernels<T> kernels_;
    Blas blas_;
    Limits limits_;
    Dual& dual_;
    Packed<T> packed_;
    Newton<T> newton_;
    std::vector<char> chosen_;
    std::vector<int> set_, moved_;
    std::vector<std::pair<double, int>> candidates_;
    std::vector<const T*> pointers_;
    std::vector<T> f_, diagonal_, grow_, shrink_;
    std::vector<double> b_, low_, high_, steps_;
    double gain_ = 0;
};

}  // namespace penultimate
