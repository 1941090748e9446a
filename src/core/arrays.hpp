// NumPy arrays as arguments, and the checks of their shapes.
//
// Everything behind the bindings works on plain pointers, so a wrong shape here would be a read or
// a write out of bounds there. All checks raise ValueError, before anything is computed.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <initializer_list>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "rows.hpp"

namespace penultimate {

template <class T, size_t N>
using Array = nanobind::ndarray<const T, nanobind::ndim<N>, nanobind::c_contig, nanobind::device::cpu>;
template <class T, size_t N>
using Output = nanobind::ndarray<T, nanobind::ndim<N>, nanobind::c_contig, nanobind::device::cpu>;

// An array argument without conversion: a wrong dtype or layout is an error instead of a copy,
// which would be a hidden cost for an input, and for an output a result that nobody sees.
inline auto array_argument(const char* name) { return nanobind::arg(name).noconvert(); }

template <class AnyArray>
auto* data_or_null(const std::optional<AnyArray>& array) {
    return array ? array->data() : nullptr;
}

// nanobind turns std::invalid_argument into ValueError.
inline void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

inline std::string in_brackets(const size_t* sizes, size_t n) {
    std::string text = "(";
    for (size_t k = 0; k < n; ++k) text += (k ? ", " : "") + std::to_string(sizes[k]);
    return text + (n == 1 ? ",)" : ")");
}

template <class AnyArray>
void require_shape(const char* name, const AnyArray& array, std::initializer_list<size_t> shape) {
    std::vector<size_t> actual;
    for (size_t k = 0; k < array.ndim(); ++k) actual.push_back(array.shape(k));
    if (actual == std::vector<size_t>(shape)) return;
    throw std::invalid_argument(std::string("'") + name + "' must have shape " +
                                in_brackets(shape.begin(), shape.size()) + "; got " +
                                in_brackets(actual.data(), actual.size()) + ".");
}

template <class AnyArray>
void require_shape(const char* name, const std::optional<AnyArray>& array,
                   std::initializer_list<size_t> shape) {
    if (array) require_shape(name, *array, shape);
}

// BLAS counts rows and columns in int.
inline void require_int(const char* name, size_t size) {
    if (size > size_t(std::numeric_limits<int>::max()))
        throw std::invalid_argument(std::string("'") + name +
                                    "' has more rows or columns than an int can count: " +
                                    std::to_string(size) + ".");
}

// Each index must be below `size`.
inline void require_indices(const char* name, const Array<int64_t, 1>& indices, size_t size) {
    for (size_t k = 0; k < indices.shape(0); ++k)
        if (indices(k) < 0 || size_t(indices(k)) >= size)
            throw std::invalid_argument(std::string("'") + name + "' must be at least 0 and below " +
                                        std::to_string(size) + "; got " +
                                        std::to_string(indices(k)) + ".");
}

// The classes of `n` samples that are sorted by class; `starts` has one value more than there are
// classes. A class that is solved for must have samples; one that only predicts may be without support.
inline std::vector<Range> classes_of(const Array<int64_t, 1>& starts, size_t n, bool may_be_empty) {
    const size_t size = starts.shape(0);
    require(size >= 2, "'starts' must have a value for each class, and one more.");
    std::vector<Range> classes;
    for (size_t c = 0; c + 1 < size; ++c) classes.push_back({starts(c), starts(c + 1)});
    bool is_valid = starts(0) == 0 && starts(size - 1) == int64_t(n);
    // Compared, not subtracted, because the difference of arbitrary values may overflow.
    for (const Range& range : classes)
        is_valid = is_valid && range.end >= range.begin && (may_be_empty || range.end > range.begin);
    if (!is_valid)
        throw std::invalid_argument(std::string("'starts' must begin with 0, ") +
                                    (may_be_empty ? "not decrease" : "increase") +
                                    ", and end with the number of samples, " + std::to_string(n) +
                                    ".");
    return classes;
}

}  // namespace penultimate
