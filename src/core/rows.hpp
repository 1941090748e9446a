// Rows of a pair's Gram matrix, computed when they are first needed.
//
// Two layers: `GramSource` yields inner products, which do not depend on the kernel and are shared
// by all kernels of a search; `Rows` turns them into kernel values for one kernel, and keeps those
// that fit.
#pragma once

#include <algorithm>
#include <numeric>
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
    // For each sample, its n_features values; those of a class follow one another. May be empty.
    std::vector<const T*> samples = {};
    const T* products = nullptr;  // n rows of n values
    const T* norms = nullptr;     // squared norms of the samples
    int64_t n = 0;
    int n_features = 0;
    // For each sample, its inner products with its own class, which all pairs of that class share;
    // may be empty.
    std::vector<const T*> within_class = {};

    explicit operator bool() const { return !samples.empty() || products; }
};

// Memory for samples that are gathered for a product, and for that product.
template <class T>
struct Gathered {
    Storage<T> rows, columns, products;
};

// Rows of inner products of a pair's samples: the part that does not depend on the kernel.
template <class T>
class GramSource {
public:
    GramSource(const Source<T>& source, Range first, Range second, const Blas& blas,
               Gathered<T>& gathered)
        : source_(source), first_(first), second_(second), blas_(blas), gathered_(gathered) {}

    // Computes those between the two classes for all rows together, which is faster than a few rows
    // at a time, unless they take more than `capacity` bytes. They are kept twice, the second time
    // transposed, so that rows of either class are contiguous.
    void make_cross(Storage<T>& storage, size_t capacity) {
        const size_t rows = size_t(n_first()), columns = size_t(second_.size());
        if (source_.products || 2 * rows * columns * sizeof(T) > capacity) return;
        T* cross = storage.at_least(2 * rows * columns);
        const int d = source_.n_features;
        inner_products<T>(blas_, all_of(second_), all_of(first_), d, cross, second_.size());
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

    // Writes the rows of `wanted`, samples of one class, one after the other into `block`. Each row
    // has a part per class; of a part that has to be computed, only the columns `needed` of that
    // class are, and the others become zero.
    void fill(const std::vector<int>& wanted, const std::vector<int> (&needed)[2], T* block) {
        const bool computes_any = computes(wanted[0], 0) || computes(wanted[0], 1);
        const Block<T> rows = computes_any ? gather(wanted, gathered_.rows) : Block<T>{};
        for (int part : {0, 1}) fill_part(wanted, rows, part, needed[part], block);
    }

    // Whether inner products of a sample with class `part` are not there yet.
    bool computes(int k, int part) const { return !cached_row(k, part); }
    // Where class `part` begins among the pair's samples, and where it ends.
    int begin(int part) const { return part == 0 ? 0 : n_first(); }
    int end(int part) const { return part == 0 ? n_first() : n(); }

private:
    // Columns that are gathered at once: enough for BLAS, and little memory however many there are.
    static constexpr ptrdiff_t kColumns = 512;

    Block<T> all_of(Range range) const {
        return {source_.samples[size_t(range.begin)], range.size(), source_.n_features};
    }

    Block<T> gather(const std::vector<int>& samples, Storage<T>& storage) const {
        const int d = source_.n_features;
        T* out = storage.at_least(samples.size() * size_t(d));
        const Block<T> block{out, int(samples.size()), d};
        for (int k : samples) out = std::copy_n(source_.samples[size_t(sample(k))], d, out);
        return block;
    }

    // `rows` are the samples `wanted`.
    void fill_part(const std::vector<int>& wanted, const Block<T>& rows, int part,
                   const std::vector<int>& needed, T* block) {
        const Range others = part == 0 ? first_ : second_;
        const size_t height = wanted.size(), stride = size_t(n());
        const int d = source_.n_features;
        T* out = block + begin(part);
        if (!computes(wanted[0], part)) {
            for (size_t r = 0; r < height; ++r)
                std::copy_n(cached_row(wanted[r], part), others.size(), out + r * stride);
            return;
        }
        if (int(needed.size()) == others.size())
            return inner_products<T>(blas_, all_of(others), rows, d, out, n());
        for (size_t r = 0; r < height; ++r) std::fill_n(out + r * stride, others.size(), T(0));
        for (auto next = needed.begin(); next != needed.end();) {
            const auto last = next + std::min<ptrdiff_t>(kColumns, needed.end() - next);
            const std::vector<int> some(next, last);
            const Block<T> columns = gather(some, gathered_.columns);
            T* product = gathered_.products.at_least(height * some.size());
            inner_products<T>(blas_, columns, rows, d, product, columns.n_rows);
            for (size_t r = 0; r < height; ++r)
                for (int k : some) block[r * stride + size_t(k)] = *product++;
            next = last;
        }
    }

    // Inner products of a sample with class `part`, or null if they have not been computed yet.
    const T* cached_row(int k, int part) const {
        const size_t s = size_t(sample(k));
        if (source_.products)
            return source_.products + s * size_t(source_.n) + (part == 0 ? first_ : second_).begin;
        const bool in_first = k < n_first();
        if (in_first == (part == 0))
            return source_.within_class.empty() ? nullptr : source_.within_class[s];
        if (!cross_) return nullptr;
        return in_first ? cross_ + int64_t(k) * second_.size()
                        : cross_transposed_ + int64_t(k - n_first()) * n_first();
    }

    const Source<T>& source_;
    Range first_, second_;
    Blas blas_;
    Gathered<T>& gathered_;
    const T *cross_ = nullptr, *cross_transposed_ = nullptr;
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

    // Features from which on a product takes longer than a copy from another row.
    static constexpr int kWide = 256;
    // Unless one in so many columns is there, gathering the others takes longer than a product.
    static constexpr size_t kFew = 4;
    // Rows that are read side by side, while each is written along: 4 KiB of the cache.
    static constexpr size_t kTile = 32;

    // Makes the rows of `missing_`; those of the first class before the others, which find their
    // values in them.
    void fill(T* block) {
        const auto middle = std::lower_bound(missing_.begin(), missing_.end(), source_.n_first());
        wanted_.assign(missing_.begin(), middle);
        fill_wanted(block);
        block += wanted_.size() * size_t(n());
        wanted_.assign(middle, missing_.end());
        fill_wanted(block);
    }

    // Kernel values are symmetric: those with a sample whose row is there are copied from it.
    void fill_wanted(T* block) {
        if (wanted_.empty()) return;
        for (int part : {0, 1}) divide(part);
        source_.fill(wanted_, needed_, block);
        const size_t stride = size_t(n());
        for (size_t r = 0; r < wanted_.size(); ++r) {
            const size_t k = size_t(wanted_[r]);
            T* row = block + r * stride;
            kernels_.finish_row(kernel_, row, row, norms_[k], norms_.data(), n());
            row[k] = diagonal_[k];  // exactly, as rounding would leave k at a distance from itself
        }
        for (size_t first = 0; first < wanted_.size(); first += kTile)
            for (const std::vector<int>& there : there_)
                for (int l : there)
                    for (size_t r = first; r < std::min(first + kTile, wanted_.size()); ++r)
                        block[r * stride + size_t(l)] = rows_[size_t(l)][wanted_[r]];
        for (size_t r = 0; r < wanted_.size(); ++r) rows_[size_t(wanted_[r])] = block + r * stride;
    }

    // Divides the columns of a class into those whose values are there, and those that are needed.
    void divide(int part) {
        there_[part].clear();
        needed_[part].clear();
        for (int k = source_.begin(part); k < source_.end(part); ++k)
            (rows_[size_t(k)] ? there_ : needed_)[part].push_back(k);
        const size_t size = there_[part].size() + needed_[part].size();
        if (source_.source().n_features >= kWide && there_[part].size() * kFew >= size &&
            source_.computes(wanted_[0], part))
            return;
        there_[part].clear();
        needed_[part].resize(size);
        std::iota(needed_[part].begin(), needed_[part].end(), source_.begin(part));
    }

    GramSource<T>& source_;
    Kernel kernel_;
    Kernels<T> kernels_;
    size_t capacity_ = 0, count_ = 0;
    T* storage_ = nullptr;
    std::vector<T> norms_, diagonal_;
    std::vector<const T*> rows_;
    std::vector<int> missing_, wanted_, there_[2], needed_[2];
};

}  // namespace penultimate
