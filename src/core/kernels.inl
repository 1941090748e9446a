// The inner loops themselves; included by each variant_*.cpp. See kernels.hpp for what they do.

#include "kernels.hpp"
#include "simd.hpp"

namespace PENULTIMATE_VARIANT {

using penultimate::Kernel;
using penultimate::KernelType;
using penultimate::WorkingSet;

template <class T>
constexpr T infinity = T(__builtin_inf());

// The lane that wins a running comparison, as the position it came from.
template <class T>
inline int winner(Vec<T> value, Int<T> position, T* best) {
    int lane = 0;
    for (int k = 1; k < lanes<T>; ++k)
        if (value[k] > value[lane]) lane = k;
    *best = value[lane];
    return int(position[lane]);
}

template <class T>
inline Int<T> first_positions() {
    Int<T> positions;
    for (int k = 0; k < lanes<T>; ++k) positions[k] = k;
    return positions;
}

// One pass: f -= step * (Ki - Kj), and the largest f that may grow.
template <class T>
inline int update_and_find_largest(const WorkingSet<T>& set, const T* Ki, const T* Kj, T step,
                                   T* largest) {
    Vec<T> best = splat<T>(-infinity<T>);
    Int<T> best_at{}, at = first_positions<T>();
    for (int k = 0; k < set.stride; k += lanes<T>) {
        const Vec<T> f = load(set.f + k) - step * (load(Ki + k) - load(Kj + k));
        store(set.f + k, f);
        const Vec<T> candidate = f + load(set.grow + k);
        const Int<T> better = candidate > best;
        best = better ? candidate : best;
        best_at = better ? at : best_at;
        at += lanes<T>;
    }
    return winner<T>(best, best_at, largest);
}

// The partner of i that promises the largest decrease of the dual objective, d^2 / curvature
// (second-order selection of Fan, Chen and Lin, 2005), or -1 where no violation exceeds tolerance.
template <class T>
inline int find_partner(const WorkingSet<T>& set, int i, T largest) {
    constexpr T flattest = sizeof(T) == 4 ? T(1e-6) : T(1e-12);
    const T* Ki = set.K + int64_t(i) * set.stride;
    const T diagonal = set.diagonal[i];
    Vec<T> smallest = splat<T>(infinity<T>), gain = splat<T>(0), curvature = splat<T>(1);
    Int<T> best_at{}, at = first_positions<T>();
    for (int k = 0; k < set.stride; k += lanes<T>) {
        const Vec<T> f = load(set.f + k) + load(set.shrink + k);
        smallest = smallest < f ? smallest : f;
        const Vec<T> d = max<T>(largest - f, Vec<T>{});
        const Vec<T> c = max<T>((diagonal + load(set.diagonal + k)) - T(2) * load(Ki + k),
                                splat<T>(flattest));
        // d^2 / c > gain / curvature, without a division.
        const Int<T> better = d * d * curvature > gain * c;
        gain = better ? d * d : gain;
        curvature = better ? c : curvature;
        best_at = better ? at : best_at;
        at += lanes<T>;
    }
    T low = smallest[0];
    for (int k = 1; k < lanes<T>; ++k) low = smallest[k] < low ? smallest[k] : low;
    if (!(largest - low > T(set.tolerance))) return -1;
    T best;
    const int j = winner<T>(gain / curvature, best_at, &best);
    return best > 0 ? j : -1;
}

template <class T>
int64_t optimise(WorkingSet<T>& set) {
    T largest;
    int i = update_and_find_largest<T>(set, set.K, set.K, T(0), &largest);
    int64_t iteration = 0;
    for (; iteration < set.max_iterations && largest > -infinity<T>; ++iteration) {
        const int j = find_partner<T>(set, i, largest);
        if (j < 0) break;
        const T *Ki = set.K + int64_t(i) * set.stride, *Kj = set.K + int64_t(j) * set.stride;
        double curvature = double(set.diagonal[i]) + double(set.diagonal[j]) - 2.0 * double(Ki[j]);
        if (!(curvature > 1e-12)) curvature = 1e-12;
        double step = (double(largest) - double(set.f[j])) / curvature;
        const double room_i = set.high[i] - set.b[i], room_j = set.b[j] - set.low[j];
        const double room = room_i < room_j ? room_i : room_j;
        if (step > room) step = room;
        // At a bound the coefficient is the bound, to the last bit.
        set.b[i] = step == room_i ? set.high[i] : set.b[i] + step;
        set.b[j] = step == room_j ? set.low[j] : set.b[j] - step;
        set.grow[i] = set.b[i] < set.high[i] ? T(0) : -infinity<T>;
        set.shrink[i] = set.b[i] > set.low[i] ? T(0) : infinity<T>;
        set.grow[j] = set.b[j] < set.high[j] ? T(0) : -infinity<T>;
        set.shrink[j] = set.b[j] > set.low[j] ? T(0) : infinity<T>;
        i = update_and_find_largest<T>(set, Ki, Kj, T(step), &largest);
    }
    return iteration;
}

template <class T>
inline T power(T base, int exponent) {
    T result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

template <class T>
void finish_row(const Kernel& kernel, const T* products, T* row, T norm, const T* norms,
                int64_t n) {
    if (kernel.type == KernelType::poly) {
        for (int64_t k = 0; k < n; ++k)
            row[k] = power<T>(T(kernel.gamma) * products[k] + T(kernel.coef0), kernel.degree);
        return;
    }
    if (kernel.type != KernelType::rbf) {
        if (row != products) std::memcpy(row, products, size_t(n) * sizeof(T));
        return;
    }
    const T gamma = T(kernel.gamma);
    const auto value = [&](Vec<T> product, Vec<T> other) {
        const Vec<T> distance = max<T>((norm + other) - T(2) * product, Vec<T>{});
        return exp_nonpositive<T>(-gamma * distance);
    };
    int64_t k = 0;
    for (; k + lanes<T> <= n; k += lanes<T>)
        store(row + k, value(load(products + k), load(norms + k)));
    if (k < n) {
        T rest[lanes<T>] = {}, others[lanes<T>] = {};
        std::memcpy(rest, products + k, size_t(n - k) * sizeof(T));
        std::memcpy(others, norms + k, size_t(n - k) * sizeof(T));
        store(rest, value(load(rest), load(others)));
        std::memcpy(row + k, rest, size_t(n - k) * sizeof(T));
    }
}

// Eight rows at a time, so that f is read and written once for all of them.
template <class T>
void subtract_rows(double* f, const T* const* rows, const double* coefficients, int n_rows,
                   int64_t n) {
    int r = 0;
    for (; r + 8 <= n_rows; r += 8) {
        const T* const* p = rows + r;
        const double* c = coefficients + r;
        const T *p0 = p[0], *p1 = p[1], *p2 = p[2], *p3 = p[3], *p4 = p[4], *p5 = p[5],
                *p6 = p[6], *p7 = p[7];
        for (int64_t k = 0; k < n; ++k)
            f[k] -= ((c[0] * p0[k] + c[1] * p1[k]) + (c[2] * p2[k] + c[3] * p3[k])) +
                    ((c[4] * p4[k] + c[5] * p5[k]) + (c[6] * p6[k] + c[7] * p7[k]));
    }
    for (; r < n_rows; ++r)
        for (int64_t k = 0; k < n; ++k) f[k] -= coefficients[r] * rows[r][k];
}

template <class T>
penultimate::Kernels<T> table() {
    return {optimise<T>, finish_row<T>, subtract_rows<T>};
}

}  // namespace PENULTIMATE_VARIANT
