// Rows of a pair's Gram matrix, computed when they are first needed.
//
// Two layers: `GramSource` yields inner products, which do not depend on the kernel and are shared
// by all kernels of a search; `Rows` turns them into kernel values for one kernel, and keeps those
// that fit.
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "kernels.hpp"
#include "storage.hpp"

namespace penultimate {

// A class: samples are sorted by class, so each class is a range.
struct Range {
    int64_t begin, end;
    int size() const { return int(end - begin); }
};

// Source of inner products: a matrix of all of them (for the precomputed kernel, of kernel values),
// or else the samples.
template <class T>
struct Source {
    const T* samples = nullptr;   // n rows of n_features values
    const T* products = nullptr;  // n rows of n values
    const T* norms = nullptr;     // squared norms of the samples
    int64_t n = 0;
    int n_features = 0;
    // For each sample, its inner products with its own class, which all pairs of that class share;
    // may be empty.
    std::vector<const T*> within_class = {};

    explicit operator bool() const { return samples || products; }
};

// Rows of inner products of a pair's samples: the part that does not depend on the kernel.
template <class T>
class GramSource {
public:
    GramSource(const Source<T>& source, Range first, Range second, const Blas& blas)
        : source_(source), first_(first), second_(second), blas_(blas) {}

    // Computes those between the two classes for all rows together, which is faster than a few rows
    // at a time, unless they take more than `capacity` bytes. They are kept twice, the second time
    // transposed, so that rows of either class are contiguous.
    void make_cross(Storage<T>& storage, size_t capacity) {
        const size_t rows = size_t(n_first()), columns = size_t(second_.size());
        if (source_.products || 2 * rows * columns * sizeof(T) > capacity) return;
        T* cross = storage.at_least(2 * rows * columns);
        const int d = source_.n_features;
        inner_products<T>(blas_, {source_.samples + second_.begin * d, second_.size(), d},
                          {source_.samples + first_.begin * d, n_first(), d}, d, cross,
                          second_.size());
        T* transposed = cross + rows * columns;
        constexpr size_t tile = 32;  // 4 KiB on either side: both stay in the first-level cache
        for (size_t r0 = 0; r0 < rows; r0 += tile)
            for (size_t c0 = 0; c0 < columns; c0 += tile)
                for (size_t c = c0; c < std::min(columns, c0 + tile); ++c)
                    for (size_t r = r0; r < std::min(rows, r0 + tile); ++r)
                        transposed[c * rows + r] = cross[r * columns + c];
        cross_ = cross;
        cross_transposed_ = transposed;
    }

    const Source<T>& source() const { return source_; }
    int n() const { return first_.size() + second_.size(); }
    int n_first() const { return first_.size(); }
    int64_t sample(int k) const {
        return k < first_.size() ? first_.begin + k : second_.begin + k - first_.size();
    }

    // Writes the rows of the samples `wanted`, which are in ascending order, one after the other
    // into `block`. Each row has a part per class.
    void fill(const std::vector<int>& wanted, T* block) {
        const size_t d = size_t(source_.n_features);
        if (!source_.products && (source_.within_class.empty() || !cross_)) {
            packed_.resize(wanted.size() * d);
            for (size_t r = 0; r < wanted.size(); ++r) {
                const T* x = source_.samples + size_t(sample(wanted[r])) * d;
                std::copy(x, x + d, packed_.begin() + ptrdiff_t(r * d));
            }
        }
        const size_t split = size_t(
            std::lower_bound(wanted.begin(), wanted.end(), n_first()) - wanted.begin());
        fill_block(wanted, 0, split, first_, block);
        fill_block(wanted, 0, split, second_, block + n_first());
        fill_block(wanted, split, wanted.size(), first_, block + split * size_t(n()));
        fill_block(wanted, split, wanted.size(), second_, block + split * size_t(n()) + n_first());
    }

private:
    // Rows `begin` to `end` of those wanted, all of one class, with the samples of class `others`.
    void fill_block(const std::vector<int>& wanted, size_t begin, size_t end, Range others, T* out) {
        if (begin == end) return;
        if (cached_row(wanted[begin], others)) {
            for (size_t r = begin; r < end; ++r, out += n()) {
                const T* row = cached_row(wanted[r], others);
                std::copy(row, row + others.size(), out);
            }
            return;
        }
        const int d = source_.n_features;
        inner_products<T>(blas_, {source_.samples + others.begin * d, others.size(), d},
                          {packed_.data() + begin * size_t(d), int(end - begin), d}, d, out, n());
    }

    // Inner products of a sample with a class, or null if they have not been computed yet.
    const T* cached_row(int k, Range others) const {
        if (source_.products) return source_.products + sample(k) * source_.n + others.begin;
        const bool in_first = k < n_first(), with_first = others.begin == first_.begin;
        if (in_first == with_first)
            return source_.within_class.empty() ? nullptr : source_.within_class[size_t(sample(k))];
        if (!cross_) return nullptr;
        return in_first ? cross_ + int64_t(k) * second_.size()
                        : cross_transposed_ + int64_t(k - n_first()) * n_first();
    }

    Source<T> source_;
    Range first_, second_;
    Blas blas_;
    const T *cross_ = nullptr, *cross_transposed_ = nullptr;
    std::vector<T> packed_;
};

template <class T>
class Rows {
public:
    // `capacity` is in bytes. Whatever it is, kMostAtOnce rows are kept, if there are that many: a
    // call of `ensure` must fit.
    Rows(GramSource<T>& source, const Kernel& kernel, const Kernels<T>& kernels, size_t capacity,
         Storage<T>& storage)
        : source_(source), kernel_(kernel), kernels_(kernels), rows_(size_t(n()), nullptr) {
        capacity_ = std::max(capacity / (size_t(n()) * sizeof(T)), size_t(kMostAtOnce));
        capacity_ = std::min(capacity_, size_t(n()));
        storage_ = storage.at_least(capacity_ * size_t(n()));
        const Source<T>& samples = source_.source();
        for (int k = 0; k < n(); ++k) {
            const int64_t s = source_.sample(k);
            norms_.push_back(samples.norms ? samples.norms[s] : T(0));
            diagonal_.push_back(diagonal_value(samples, s));
        }
    }

    // Twice what joins a working set in a round. Blocks of this height are large enough for BLAS.
    static constexpr int kMostAtOnce = 512;

    int n() const { return source_.n(); }
    T diagonal(int k) const { return diagonal_[size_t(k)]; }
    const T* operator[](int k) const { return rows_[size_t(k)]; }

    // Makes the rows of `wanted` present, at most kMostAtOnce. When there is no room for more, all
    // others are dropped, even recently used ones: a working set copies its part of each row
    // (packed.hpp), so that few rows are needed again.
    void ensure(const int* wanted, size_t count) {
        missing_.clear();
        for (size_t k = 0; k < count; ++k)
            if (!rows_[size_t(wanted[k])]) missing_.push_back(wanted[k]);
        if (missing_.empty()) return;
        if (count_ + missing_.size() > capacity_) {
            std::fill(rows_.begin(), rows_.end(), nullptr);
            count_ = 0;
            missing_.assign(wanted, wanted + count);
        }
        std::sort(missing_.begin(), missing_.end());
        fill(storage_ + count_ * size_t(n()));
        count_ += missing_.size();
    }

private:
    T diagonal_value(const Source<T>& source, int64_t s) const {
        if (kernel_.type == KernelType::rbf) return T(1);
        T value = source.products ? source.products[s * source.n + s] : source.norms[s];
        if (kernel_.type != KernelType::precomputed)
            kernels_.finish_row(kernel_, &value, &value, value, &value, 1);
        return value;
    }

    void fill(T* block) {
        source_.fill(missing_, block);
        for (size_t r = 0; r < missing_.size(); ++r) {
            const size_t k = size_t(missing_[r]);
            T* row = block + r * size_t(n());
            kernels_.finish_row(kernel_, row, row, norms_[k], norms_.data(), n());
            row[k] = diagonal_[k];  // exactly, as rounding would leave k at a distance from itself
            rows_[k] = row;
        }
    }

    GramSource<T>& source_;
    Kernel kernel_;
    Kernels<T> kernels_;
    size_t capacity_ = 0, count_ = 0;
    T* storage_ = nullptr;
    std::vector<T> norms_, diagonal_;
    std::vector<const T*> rows_;
    std::vector<int> missing_;
};

}  // namespace penultimate
