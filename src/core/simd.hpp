// Vectors by the compilers' vector extension: one source for AVX-512, AVX2, NEON and plain code.
//
// Each variant_*.cpp defines PENULTIMATE_BYTES (the vector's size) and PENULTIMATE_VARIANT (its
// namespace) and is compiled for its instruction set. Nothing here may use templates of the
// standard library: the linker keeps one copy of each instance, and if that were the one compiled
// for AVX-512, other processors would stop at an illegal instruction.
#pragma once

#include <cstdint>
#include <cstring>

namespace PENULTIMATE_VARIANT {

template <class T>
struct Simd;

template <>
struct Simd<float> {
    typedef float Vec __attribute__((vector_size(PENULTIMATE_BYTES)));
    typedef int32_t Int __attribute__((vector_size(PENULTIMATE_BYTES)));
    typedef int32_t Bits;
    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float lowest_exponent = -87.0f;  // its exp() is just above the smallest normal
};

template <>
struct Simd<double> {
    typedef double Vec __attribute__((vector_size(PENULTIMATE_BYTES)));
    typedef int64_t Int __attribute__((vector_size(PENULTIMATE_BYTES)));
    typedef int64_t Bits;
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double lowest_exponent = -708.0;
};

template <class T>
using Vec = typename Simd<T>::Vec;
template <class T>
using Int = typename Simd<T>::Int;
template <class T>
constexpr int lanes = PENULTIMATE_BYTES / int(sizeof(T));

template <class T>
inline Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
inline void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}

// Subtracts zero, which changes nothing; adding it would turn -0 into 0.
template <class T>
inline Vec<T> splat(T x) {
    return x - Vec<T>{};
}

// b where the two do not compare, that is, where one is NaN.
template <class T>
inline Vec<T> max(Vec<T> a, Vec<T> b) {
    return a > b ? a : b;
}

template <class T>
inline Int<T> bits_of(Vec<T> v) {
    Int<T> bits;
    std::memcpy(&bits, &v, sizeof bits);
    return bits;
}

template <class T>
inline Vec<T> of_bits(Int<T> bits) {
    Vec<T> v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
}

// The largest of the values at `from`, by repeated halving.
template <class T, int bytes = PENULTIMATE_BYTES>
inline T largest_at(const void* from) {
    if constexpr (bytes == 2 * sizeof(T)) {
        T v[2];
        std::memcpy(v, from, sizeof v);
        return v[0] > v[1] ? v[0] : v[1];
    } else {
        typedef T Half __attribute__((vector_size(bytes / 2)));
        Half low, high;
        std::memcpy(&low, from, sizeof low);
        std::memcpy(&high, static_cast<const char*>(from) + sizeof low, sizeof high);
        const Half best = low > high ? low : high;
        return largest_at<T, bytes / 2>(&best);
    }
}

// The sum of a vector's values, by repeated halving.
template <class T, class V = Vec<T>>
inline T sum_of(V v) {
    constexpr int bytes = int(sizeof(V));
    if constexpr (bytes == 2 * int(sizeof(T))) {
        return v[0] + v[1];
    } else {
        typedef T Half __attribute__((vector_size(bytes / 2)));
        Half low, high;
        std::memcpy(&low, &v, sizeof low);
        std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
        return sum_of<T, Half>(low + high);
    }
}

// exp(x) for x <= 0, to about one unit in the last place; 0 where the result is subnormal.
// x = n log 2 + r with |r| <= log(2) / 2; exp(r) by its Taylor series, 2^n by setting the exponent
// bits. The first omitted term is below 1e-8 in float32 and 1e-17 in float64.
template <class T>
inline Vec<T> exp_nonpositive(Vec<T> x) {
    constexpr bool is_f32 = sizeof(T) == 4;
    // Adding and subtracting it rounds to an integer: the sum has no bits left for a fraction.
    constexpr T shift = is_f32 ? T(12582912) : T(6755399441055744);  // 1.5 * 2^mantissa_bits
    const Int<T> vanishes = x < Simd<T>::lowest_exponent;
    x = max<T>(x, splat<T>(Simd<T>::lowest_exponent));
    const Vec<T> n = (x * T(1.4426950408889634) + shift) - shift;
    // log 2 in two parts; the first has so few bits that n times it is exact.
    const Vec<T> r = is_f32 ? (x - n * T(0.693359375)) - n * T(-2.12194440e-4)
                            : (x - n * T(0.6931471803691238)) - n * T(1.9082149292705877e-10);
    constexpr int terms = is_f32 ? 7 : 13;
    Vec<T> sum = splat<T>(1);
    for (int k = terms; k > 0; --k) sum = sum * r * T(1.0 / k) + T(1);
    const Int<T> exponent = __builtin_convertvector(n, Int<T>) + Simd<T>::exponent_bias;
    return vanishes ? Vec<T>{} : sum * of_bits<T>(exponent << Simd<T>::mantissa_bits);
}

}  // namespace PENULTIMATE_VARIANT
