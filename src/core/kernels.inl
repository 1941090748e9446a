// The inner loops themselves; included by each variant_*.cpp. See kernels.hpp for what they do.
//
// An iteration of sequential minimal optimization makes two passes over the working set: one that
// finds the partner j of i, and one that updates all residuals and finds the next i. Both search
// for a maximum and its position; `Best` makes that a single comparison per vector.

#include "kernels.hpp"
#include "simd.hpp"

namespace PENULTIMATE_VARIANT {

using penultimate::Kernel;
using penultimate::KernelType;
using penultimate::RowsOf;
using penultimate::WorkingSet;

// A running maximum (argmax) that carries the position in the lowest mantissa bits of the value, so
// that a single comparison updates both.
//
// The price is precision: with 2^k places, a float keeps 23 - k bits of its mantissa. That is
// harmless, for three reasons. Either of two nearly equal samples is a good choice. The values
// stored in f keep all their bits, and the test against the tolerance uses these. And f is relative
// to the middle of the gap (InnerProblem::load), so what is lost is a share of the gap, which the
// next round, on residuals in float64, finds again.
//
// The bound is 2^16 places, whose matrix takes 16 GiB: with the 7 bits left, values within 1 part
// in 128 of each other may be equal here, and with fewer the choice would become arbitrary. A
// larger set ends the float32 phase (Decomposition::run), and float64 takes over.
template <class T>
class Best {
public:
    using Bits = typename Simd<T>::Bits;
    static_assert(int64_t(penultimate::most_places<T>) <= int64_t(1) << (Simd<T>::mantissa_bits - 7),
                  "values have to keep 7 bits of their mantissa");

    Best(int first, Bits position_bits) : position_bits_(position_bits) {
        Bits at[lanes<T>];
        for (int k = 0; k < lanes<T>; ++k) at[k] = Bits(first + k);
        std::memcpy(&at_, at, sizeof at_);
        // Below everything that is offered: a sample that may not grow offers f - forbidden.
        best_ = with_position(splat<T>(-T(2) * penultimate::forbidden<T>));
    }

    void offer(Vec<T> value, int stride) {
        best_ = max<T>(best_, with_position(value));
        at_ += stride;
    }

    // The better of this one and another: its position and, up to the lost bits, its value.
    int winner(const Best& other, T* value) const {
        const Vec<T> best = max<T>(best_, other.best_);
        *value = largest_at<T>(&best);
        Bits bits;
        std::memcpy(&bits, value, sizeof bits);
        return int(bits & position_bits_);
    }

private:
    // Even for NaN, the low bits hold a valid position.
    Vec<T> with_position(Vec<T> value) const {
        return of_bits<T>((bits_of<T>(value) & ~position_bits_) | at_);
    }

    Vec<T> best_;
    Int<T> at_;
    Bits position_bits_;
};

// A mask of as many low bits as positions below `width` need.
template <class T>
inline typename Simd<T>::Bits position_bits(int width) {
    typename Simd<T>::Bits bits = 1;
    while (bits < width) bits *= 2;
    return bits - 1;
}

// One pass: f -= step * (Ki - Kj), and the position of the largest f that may grow. Two independent
// maxima hide the latency of the comparison: each would otherwise wait for the one before.
template <class T>
inline int update_and_find_largest(const WorkingSet<T>& set, const T* Ki, const T* Kj, T step,
                                   typename Simd<T>::Bits position_bits) {
    Best<T> even(0, position_bits), odd(lanes<T>, position_bits);
    const auto pass = [&](int k, Best<T>& best) {
        const Vec<T> f = load(set.f + k) - step * (load(Ki + k) - load(Kj + k));
        store(set.f + k, f);
        best.offer(f + load(set.grow + k), 2 * lanes<T>);
    };
    for (int k = 0; k < set.width; k += 2 * lanes<T>) {
        pass(k, even);
        pass(k + lanes<T>, odd);
    }
    T largest;
    return even.winner(odd, &largest);
}

// The partner of i that promises the largest decrease of the dual objective, d^2 / curvature
// (second-order selection of Fan, Chen and Lin, 2005), or -1 where no violation exceeds tolerance.
template <class T>
inline int find_partner(const WorkingSet<T>& set, int i, typename Simd<T>::Bits position_bits) {
    // The curvature is a squared distance in feature space, zero for equal samples; rounding may
    // make it negative. The bound is above the rounding of kernel values near one.
    constexpr T flattest = sizeof(T) == 4 ? T(1e-6) : T(1e-12);
    const T* Ki = set.K + int64_t(i) * set.stride;
    const T largest = set.f[i], diagonal = set.diagonal[i];
    Vec<T> violation = splat<T>(0);
    Best<T> even(0, position_bits), odd(lanes<T>, position_bits);
    const auto pass = [&](int k, Best<T>& best) {
        const Vec<T> d = max<T>(largest - (load(set.f + k) + load(set.shrink + k)), Vec<T>{});
        const Vec<T> curvature = max<T>(
            (diagonal + load(set.diagonal + k)) - T(2) * load(Ki + k), splat<T>(flattest));
        violation = max<T>(violation, d);
        best.offer(d * d / curvature, 2 * lanes<T>);
    };
    for (int k = 0; k < set.width; k += 2 * lanes<T>) {
        pass(k, even);
        pass(k + lanes<T>, odd);
    }
    if (!(largest_at<T>(&violation) > T(set.tolerance))) return -1;
    T gain;
    const int j = even.winner(odd, &gain);
    // `shrink` is what rejects a sample that may not move: its gain of zero with position bits is a
    // denormal, and larger than zero. `gain > 0` rejects NaN.
    return gain > 0 && set.shrink[j] == 0 ? j : -1;
}

template <class T>
int64_t optimize(WorkingSet<T>& set) {
    constexpr T never = penultimate::forbidden<T>;
    const auto bits = position_bits<T>(set.width);
    // A step of zero changes nothing: this finds the first i.
    int i = update_and_find_largest<T>(set, set.K, set.K, T(0), bits);
    int64_t iteration = 0;
    for (; iteration < set.max_iterations && set.grow[i] == 0; ++iteration) {
        const int j = find_partner<T>(set, i, bits);
        if (j < 0) break;
        const T *Ki = set.K + int64_t(i) * set.stride, *Kj = set.K + int64_t(j) * set.stride;
        // The step itself is computed in float64, from values with all their bits.
        double curvature = double(set.diagonal[i]) + double(set.diagonal[j]) - 2.0 * double(Ki[j]);
        if (!(curvature > 1e-12)) curvature = 1e-12;  // libsvm's bound; NaN, too, ends up there
        double step = (double(set.f[i]) - double(set.f[j])) / curvature;
        const double room_i = set.high[i] - set.b[i], room_j = set.b[j] - set.low[j];
        const double room = room_i < room_j ? room_i : room_j;
        if (step > room) step = room;
        // At a bound the coefficient is the bound to the last bit: whether it may grow or shrink is
        // decided by exact comparison, here and in dual.hpp.
        set.b[i] = step == room_i ? set.high[i] : set.b[i] + step;
        set.b[j] = step == room_j ? set.low[j] : set.b[j] - step;
        set.grow[i] = set.b[i] < set.high[i] ? T(0) : -never;
        set.shrink[i] = set.b[i] > set.low[i] ? T(0) : never;
        set.grow[j] = set.b[j] < set.high[j] ? T(0) : -never;
        set.shrink[j] = set.b[j] > set.low[j] ? T(0) : never;
        i = update_and_find_largest<T>(set, Ki, Kj, T(step), bits);
    }
    return iteration;
}

// By squaring; in vectors, where the library's pow would take one value at a time.
template <class T>
inline Vec<T> power(Vec<T> base, int exponent) {
    Vec<T> result = splat<T>(1);
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

// row[k] = value(products[k], norms[k]), a vector at a time; the last one is padded with zeros.
template <class T, class Value>
inline void map_row(const T* products, const T* norms, T* row, int64_t n, const Value& value) {
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

template <class T>
void finish_row(const Kernel& kernel, const T* products, T* row, T norm, const T* norms,
                int64_t n) {
    const T gamma = T(kernel.gamma), coef0 = T(kernel.coef0);
    if (kernel.type == KernelType::poly) {
        map_row<T>(products, products, row, n, [&](Vec<T> product, Vec<T>) {
            return power<T>(gamma * product + coef0, kernel.degree);
        });
    } else if (kernel.type == KernelType::rbf) {
        map_row<T>(products, norms, row, n, [&](Vec<T> product, Vec<T> other) {
            // Cancellation may leave a small negative number for samples that are nearly equal.
            const Vec<T> distance = max<T>((norm + other) - T(2) * product, Vec<T>{});
            return exp_nonpositive<T>(-gamma * distance);
        });
    } else if (row != products) {
        std::memcpy(row, products, size_t(n) * sizeof(T));
    }
}

// Eight rows at a time, so that f is read and written once for the eight of them.
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

// Inner products of `n_left` rows with `n_right`. All sums stay in registers, and each loaded value
// serves several of them. Every sum is one chain of additions over the features, so it does not
// depend on how many rows are taken together.
template <class T, int n_left, int n_right>
inline void multiply_tile(const T* left, int64_t left_stride, const T* right, int64_t right_stride,
                          int64_t length, T* out, int64_t out_stride) {
    Vec<T> sums[n_left][n_right];
    for (int r = 0; r < n_left; ++r)
        for (int c = 0; c < n_right; ++c) sums[r][c] = Vec<T>{};
    const auto add = [&](const auto& take) {
        Vec<T> others[n_right];
        for (int c = 0; c < n_right; ++c) others[c] = take(right + c * right_stride);
        for (int r = 0; r < n_left; ++r) {
            const Vec<T> own = take(left + r * left_stride);
            for (int c = 0; c < n_right; ++c) sums[r][c] += own * others[c];
        }
    };
    // The remainder that does not fill a vector comes first, so that the sums go from the long loop
    // to the result without leaving their registers.
    const int64_t rest = length % lanes<T>;
    if (rest)
        add([rest](const T* row) {
            T values[lanes<T>] = {};
            std::memcpy(values, row, size_t(rest) * sizeof(T));
            return load(values);
        });
    for (int64_t k = rest; k < length; k += lanes<T>) add([k](const T* row) { return load(row + k); });
    for (int r = 0; r < n_left; ++r)
        for (int c = 0; c < n_right; ++c) out[r * out_stride + c] = sum_of<T>(sums[r][c]);
}

template <class T>
void multiply(const RowsOf<T>& left, const RowsOf<T>& right, int64_t length, T* out,
              int64_t out_stride) {
    // 32 registers hold the sums of four rows with four, and their operands; the 16 of AVX2, those
    // of two rows with four.
    constexpr int tall = PENULTIMATE_BYTES == 32 ? 2 : 4;
    // Rows of the right, in multiples of four, stay in the second-level cache while all rows of the
    // left pass by.
    constexpr int64_t kept_bytes = 256 * 1024;
    const int64_t fits = kept_bytes / (int64_t(sizeof(T)) * (length > 0 ? length : 1)) / 4 * 4;
    const int64_t step = fits > 4 ? fits : 4;
    for (int64_t first = 0; first < right.n; first += step) {
        const int64_t end = first + step < right.n ? first + step : right.n;
        for (int64_t r = 0; r < left.n;) {
            const T* row = left.values + r * left.stride;
            const bool is_full = r + tall <= left.n;
            int64_t c = first;
            const auto tile = [&](auto run, int width) {
                run(row, left.stride, right.values + c * right.stride, right.stride, length,
                    out + r * out_stride + c, out_stride);
                c += width;
            };
            while (c + 4 <= end)
                is_full ? tile(multiply_tile<T, tall, 4>, 4) : tile(multiply_tile<T, 1, 4>, 4);
            while (c < end)
                is_full ? tile(multiply_tile<T, tall, 1>, 1) : tile(multiply_tile<T, 1, 1>, 1);
            r += is_full ? tall : 1;
        }
    }
}

template <class T>
constexpr penultimate::Kernels<T> table() {
    return {multiply<T>, optimize<T>, finish_row<T>, subtract_rows<T>};
}

}  // namespace PENULTIMATE_VARIANT
