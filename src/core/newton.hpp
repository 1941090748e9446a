// Newton steps on the free coefficients of a working set.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "blas.hpp"
#include "kernels.hpp"

namespace penultimate {

// Makes the residuals of all free coefficients equal, with the sum of the coefficients unchanged,
// as far as the bounds allow. Where a kernel matrix has a low rank or large entries, pairwise steps
// are very many and small; these are few and large.
//
// With the free part K of the kernel matrix, residuals f and a common value rho, the direction d
// solves K d = f - rho 1 with sum d = 0. Two solves with one factorization give K^-1 f and K^-1 1,
// and rho is the quotient of their sums.
template <class T>
class Newton {
public:
    // True if a bound stopped the step, so that another may follow on the coefficients still free.
    bool step(const WorkingSet<T>& set, const Blas& blas) {
        free_.clear();
        for (int k = 0; k < set.width; ++k)
            if (set.grow[k] == 0 && set.shrink[k] == 0) free_.push_back(k);
        const size_t n = free_.size();
        if (n < 2 || n > kMost || !solve(set, blas)) return false;
        // rho makes the sum of the direction zero up to rounding, which subtracting the mean
        // removes.
        double sum_f = 0, sum_one = 0, mean = 0;
        for (size_t p = 0; p < n; ++p) sum_f += solution_[p], sum_one += solution_[n + p];
        const double rho = sum_f / sum_one;
        for (size_t p = 0; p < n; ++p) mean += (solution_[p] -= rho * solution_[n + p]) / double(n);
        double length = 1, gain = 0;
        size_t stopped = n;
        for (size_t p = 0; p < n; ++p) {
            const size_t k = size_t(free_[p]);
            const double d = solution_[p] -= mean;
            gain += d * double(set.f[k]);
            const double bound = d > 0 ? set.high[k] : set.low[k];
            if (d != 0 && (bound - set.b[k]) / d < length) length = (bound - set.b[k]) / d, stopped = p;
        }
        if (!(gain > 0) || !std::isfinite(length)) return false;
        for (size_t p = 0; p < n; ++p) {
            if (p == stopped)
                move_to_bound(set, size_t(free_[p]), solution_[p] > 0);
            else
                move(set, size_t(free_[p]), length * solution_[p]);
        }
        return stopped < n;
    }

private:
    // Free coefficients at most. The factorization takes n^3 / 3 multiply-adds, and the matrix 8
    // n^2 bytes: 8 MB at this bound.
    static constexpr size_t kMost = 1000;

    bool solve(const WorkingSet<T>& set, const Blas& blas) {
        int n = int(free_.size()), two = 2, info = 0;
        const size_t size = free_.size();
        matrix_.resize(size * size);
        solution_.resize(2 * size);
        double largest = 0;
        for (int k : free_) largest = std::max(largest, double(set.diagonal[k]));
        for (size_t p = 0; p < size; ++p) {
            const T* row = set.K + int64_t(free_[p]) * set.stride;
            for (size_t q = 0; q <= p; ++q) matrix_[p * size + q] = double(row[free_[q]]);
            // The ridge makes the solution unique where the matrix is singular: with more samples
            // than dimensions, or with duplicates.
            matrix_[p * size + p] = double(set.diagonal[free_[p]]) + kRidge * largest;
            solution_[p] = double(set.f[free_[p]]);
            solution_[size + p] = 1;
        }
        char upper = 'U';
        blas.dposv(&upper, &n, &two, matrix_.data(), &n, solution_.data(), &n, &info);
        return info == 0;
    }

    // Lands on the bound exactly, as `optimize` (kernels.inl) does: one that is missed by a rounding
    // error would count as free. `upward` is the sign of the direction; that of the step would be
    // lost where the product of length and direction underflows.
    void move_to_bound(const WorkingSet<T>& set, size_t k, bool upward) {
        const double bound = upward ? set.high[k] : set.low[k], step = bound - set.b[k];
        set.b[k] = bound;
        if (upward)
            set.grow[k] = -forbidden<T>;
        else
            set.shrink[k] = forbidden<T>;
        update_residuals(set, k, step);
    }

    void move(const WorkingSet<T>& set, size_t k, double step) {
        set.b[k] = std::clamp(set.b[k] + step, set.low[k], set.high[k]);
        if (set.b[k] == set.high[k]) set.grow[k] = -forbidden<T>;
        if (set.b[k] == set.low[k]) set.shrink[k] = forbidden<T>;
        update_residuals(set, k, step);
    }

    void update_residuals(const WorkingSet<T>& set, size_t k, double step) {
        const T* row = set.K + int64_t(k) * set.stride;
        for (int m = 0; m < set.width; ++m) set.f[m] -= T(step) * row[m];
    }

    // Relative to the largest diagonal entry, and well above the rounding of a kernel value in T: a
    // smaller one would divide by noise, a larger one would bend the direction.
    static constexpr double kRidge = sizeof(T) == 4 ? 1e-6 : 1e-12;

    std::vector<int> free_;
    std::vector<double> matrix_, solution_;
};

}  // namespace penultimate
