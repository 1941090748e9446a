// The inner loops, compiled once per instruction set and chosen at run time.
#pragma once

#include <cstdint>

namespace penultimate {

enum class KernelType : int { rbf = 0, linear = 1, poly = 2, precomputed = 3 };

struct Kernel {
    KernelType type = KernelType::rbf;
    double gamma = 1.0;
    double coef0 = 0.0;
    int degree = 3;
};

// A working set: the part of a dual problem that sequential minimal optimization works on.
//
// With signed coefficients b_k = alpha_k y_k, each in [low_k, high_k], and the residuals
// f_k = y_k - sum_l b_l K_kl, the problem is optimal when no f of a coefficient that may grow
// exceeds an f of one that may shrink. See dual.hpp.
//
// `grow` and `shrink` are added to f instead of being tested: a forbidden sample then loses every
// comparison, and the loops have no branch.
template <class T>
struct WorkingSet {
    const T* K;          // rows of `stride` values, of which `width` are read
    int width;           // places in use, rounded up to two whole vectors; padding never moves
    int stride;
    T* f;                // residuals, updated in place
    const T* diagonal;   // K_kk
    T* grow;             // 0 where b may grow, -forbidden elsewhere
    T* shrink;           // 0 where b may shrink, +forbidden elsewhere
    double* b;           // coefficients, updated in place
    const double *low, *high;
    double tolerance;    // stop when the largest violation is at most this
    int64_t max_iterations;
};

// Larger than any residual, yet finite: infinity would make NaN of differences and of the bits that
// `Best` sets. Twice as much is still finite, too.
template <class T>
constexpr T forbidden = sizeof(T) == 4 ? T(1e38) : T(1e300);

// The most places of a working set: `Best` (kernels.inl) says why float32 has no more. A float64
// has; its limit only keeps positions within an int.
template <class T>
constexpr int most_places = sizeof(T) == 4 ? 1 << 16 : 1 << 30;

// Rows of values, which begin `stride` apart.
template <class T>
struct RowsOf {
    const T* values;
    int64_t n, stride;
};

template <class T>
struct Kernels {
    // out[r][c] = <row r of `left`, row c of `right`>, of `length` values each. The order of
    // summation, and so the rounding, does not depend on the number of rows.
    void (*multiply)(const RowsOf<T>& left, const RowsOf<T>& right, int64_t length, T* out,
                     int64_t out_stride);
    // Optimizes a working set; returns the number of iterations.
    int64_t (*optimize)(WorkingSet<T>& set);
    // Turns inner products <x, z_j> into kernel values; `row` may be `products`.
    void (*finish_row)(const Kernel& kernel, const T* products, T* row, T norm, const T* norms,
                       int64_t n);
    // f -= sum_r coefficients[r] * rows[r], for n values.
    void (*subtract_rows)(double* f, const T* const* rows, const double* coefficients, int n_rows,
                          int64_t n);
};

struct Variant {
    Kernels<float> f32;
    Kernels<double> f64;
};

// The best variant that this processor supports, or the one named; null if it does not support it.
const Variant* choose_variant(const char* name = nullptr);

template <class T>
const Kernels<T>& kernels(const Variant& variant);
template <>
inline const Kernels<float>& kernels<float>(const Variant& variant) {
    return variant.f32;
}
template <>
inline const Kernels<double>& kernels<double>(const Variant& variant) {
    return variant.f64;
}

}  // namespace penultimate
