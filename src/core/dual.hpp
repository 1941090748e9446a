// The state of a pair's dual problem, and its distance from the optimum.
//
// With signed coefficients b_k = alpha_k y_k, each in [low_k, high_k], and the residuals f_k = y_k
// - sum_l b_l K_kl, the problem is optimal when no f of a coefficient that may grow exceeds an f of
// one that may shrink: f is the gradient of the objective in b, and the sum of all b stays zero, so
// an improvement moves one coefficient up and another down by the same amount.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace penultimate {

// All samples of the pair, class +1 first. Always float64.
struct Dual {
    int n, n_first;
    std::vector<double> b, low, high, f;

    Dual(int n_first, int n_second) : n(n_first + n_second), n_first(n_first) { start_cold(); }

    void start_cold() {
        for (auto* v : {&b, &low, &high}) v->assign(size_t(n), 0.0);
        f.assign(size_t(n), -1.0);
        std::fill(f.begin(), f.begin() + n_first, 1.0);
    }

    double label(int k) const { return k < n_first ? 1.0 : -1.0; }
    bool may_grow(int k) const { return b[size_t(k)] < high[size_t(k)]; }
    bool may_shrink(int k) const { return b[size_t(k)] > low[size_t(k)]; }
    // sum_k y_k b_k - 1/2 sum_kl b_k b_l K_kl, which is maximized; with f instead of K, O(n).
    double objective() const {
        double sum = 0;
        for (int k = 0; k < n; ++k) sum += b[size_t(k)] * (label(k) + f[size_t(k)]);
        return 0.5 * sum;
    }
    bool is_free(int k) const { return may_grow(k) && may_shrink(k); }
};

struct Gap {
    double largest, smallest;  // largest f that may grow, smallest f that may shrink
    // NaN if a residual is not finite; minus infinity if a side is empty, where nothing may move.
    double size() const { return largest - smallest; }
    double middle() const {
        const double middle = 0.5 * (largest + smallest);
        return std::isfinite(middle) ? middle : 0.0;
    }
};

// The gap among the coefficients that, by index, may grow and may shrink.
template <class MayGrow, class MayShrink>
Gap find_gap(const Dual& dual, const MayGrow& may_grow, const MayShrink& may_shrink) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Gap gap{-infinity, infinity};
    double sum = 0;
    for (size_t k = 0; k < size_t(dual.n); ++k) {
        const double f = dual.f[k];
        gap.largest = std::max(gap.largest, may_grow(k) ? f : -infinity);
        gap.smallest = std::min(gap.smallest, may_shrink(k) ? f : infinity);
        sum += f;
    }
    // Every comparison with NaN is false, so the maxima above miss it; a sum does not. Residuals
    // are NaN or infinite when kernel values overflow.
    if (!std::isfinite(sum)) gap.largest = std::nan("");
    return gap;
}

inline Gap find_gap(const Dual& dual) {
    return find_gap(
        dual, [&](size_t k) { return dual.may_grow(int(k)); },
        [&](size_t k) { return dual.may_shrink(int(k)); });
}

}  // namespace penultimate
