// Rows of a pair's Gram matrix, made when they are first asked for.
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "kernels.hpp"
#include "storage.hpp"

namespace penultimate {

// Two ranges of samples, sorted by class: the two classes of a pair.
struct Range {
    int64_t begin, end;
    int size() const { return int(end - begin); }
};

// Where inner products come from: a matrix of all of them (for the precomputed kernel, of kernel
// values), or else the samples.
template <class T>
struct Source {
    const T* samples = nullptr;   // n rows of n_features values
    const T* products = nullptr;  // n rows of n values
    const T* norms = nullptr;     // squared norms of the samples
    int64_t n = 0;
    int n_features = 0;
    // Of each sample, inner products with its own class, which all pairs of that class share; or
    // nothing.
    std::vector<const T*> within = {};

    explicit operator bool() const { return samples || products; }
};

// Rows of inner products of a pair's samples: the part that does not depend on the kernel.
template <class T>
class Products {
public:
    // With `storage`, rows are kept for other kernels, as many as `capacity` bytes hold.
    Products(const Source<T>& source, Range first, Range second, const Blas& blas,
             Storage<T>* storage, size_t capacity)
        : source_(source), first_(first), second_(second), blas_(blas) {
        if (!storage || source_.products) return;
        capacity_ = std::min(capacity / (size_t(n()) * sizeof(T)), size_t(n()));
        storage_ = storage->at_least(capacity_ * size_t(n()));
        kept_.assign(size_t(n()), nullptr);
    }

    const Source<T>& source() const { return source_; }
    int n() const { return first_.size() + second_.size(); }
    int n_first() const { return first_.size(); }
    int64_t sample(int k) const {
        return k < first_.size() ? first_.begin + k : second_.begin + k - first_.size();
    }

    // Rows of the samples `wanted`, in ascending order, one after the other into `block`; or, where
    // they are kept, only into `rows`.
    void fill(const std::vector<int>& wanted, T* block, std::vector<const T*>& rows) {
        rows.clear();
        if (!kept_.empty() && keep(wanted)) {
            for (int k : wanted) rows.push_back(kept_[size_t(k)]);
            return;
        }
        source_.products ? copy(wanted, block) : multiply(wanted, block);
        for (size_t r = 0; r < wanted.size(); ++r) rows.push_back(block + r * size_t(n()));
    }

private:
    // False where there is no room for them.
    bool keep(const std::vector<int>& wanted) {
        missing_.clear();
        for (int k : wanted)
            if (!kept_[size_t(k)]) missing_.push_back(k);
        if (count_ + missing_.size() > capacity_) return false;
        T* block = storage_ + count_ * size_t(n());
        if (!missing_.empty()) multiply(missing_, block);
        for (size_t r = 0; r < missing_.size(); ++r)
            kept_[size_t(missing_[r])] = block + r * size_t(n());
        count_ += missing_.size();
        return true;
    }

    void copy(const std::vector<int>& wanted, T* block) const {
        for (int k : wanted) {
            const T* row = source_.products + sample(k) * source_.n;
            block = std::copy(row + first_.begin, row + first_.end, block);
            block = std::copy(row + second_.begin, row + second_.end, block);
        }
    }

    void multiply(const std::vector<int>& wanted, T* block) {
        const size_t d = size_t(source_.n_features);
        packed_.resize(wanted.size() * d);
        for (size_t r = 0; r < wanted.size(); ++r) {
            const T* x = source_.samples + size_t(sample(wanted[r])) * d;
            std::copy(x, x + d, packed_.begin() + ptrdiff_t(r * d));
        }
        const int n_rows = int(wanted.size());
        if (source_.within.empty()) {
            multiply(first_, 0, n_rows, block);
            multiply(second_, 0, n_rows, block + n_first());
            return;
        }
        const int split = int(
            std::lower_bound(wanted.begin(), wanted.end(), n_first()) - wanted.begin());
        multiply(second_, 0, split, block + n_first());
        multiply(first_, split, n_rows, block + size_t(split) * size_t(n()));
        for (int r = 0; r < n_rows; ++r) {
            const T* row = source_.within[size_t(sample(wanted[size_t(r)]))];
            T* out = block + size_t(r) * size_t(n());
            r < split ? std::copy(row, row + n_first(), out)
                      : std::copy(row, row + second_.size(), out + n_first());
        }
    }

    // Packed rows `begin` to `end` with the samples of a class.
    void multiply(Range others, int begin, int end, T* out) {
        const int d = source_.n_features;
        inner_products<T>(blas_, {source_.samples + others.begin * d, others.size(), d},
                          {packed_.data() + int64_t(begin) * d, end - begin, d}, d, out, n());
    }

    Source<T> source_;
    Range first_, second_;
    Blas blas_;
    T* storage_ = nullptr;
    size_t capacity_ = 0, count_ = 0;
    std::vector<const T*> kept_;
    std::vector<int> missing_;
    std::vector<T> packed_;
};

template <class T>
class Rows {
public:
    // `capacity` is in bytes, and no less than a few hundred rows are kept whatever it says.
    Rows(Products<T>& products, const Kernel& kernel, const Kernels<T>& kernels, size_t capacity,
         Storage<T>& storage)
        : products_(products), kernel_(kernel), kernels_(kernels), rows_(size_t(n()), nullptr) {
        capacity_ = std::max(capacity / (size_t(n()) * sizeof(T)), size_t(kMostAtOnce));
        capacity_ = std::min(capacity_, size_t(n()));
        storage_ = storage.at_least(capacity_ * size_t(n()));
        const Source<T>& source = products_.source();
        for (int k = 0; k < n(); ++k) {
            const int64_t s = products_.sample(k);
            norms_.push_back(source.norms ? source.norms[s] : T(0));
            diagonal_.push_back(diagonal_value(source, s));
        }
    }

    static constexpr int kMostAtOnce = 512;

    int n() const { return products_.n(); }
    T diagonal(int k) const { return diagonal_[size_t(k)]; }
    const T* operator[](int k) const { return rows_[size_t(k)]; }

    // Makes the rows of `wanted` present, at most kMostAtOnce. All others are dropped when there
    // is no room for more.
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
        products_.fill(missing_, block, found_);
        for (size_t r = 0; r < missing_.size(); ++r) {
            const size_t k = size_t(missing_[r]);
            T* row = block + r * size_t(n());
            kernels_.finish_row(kernel_, found_[r], row, norms_[k], norms_.data(), n());
            row[k] = diagonal_[k];
            rows_[k] = row;
        }
    }

    Products<T>& products_;
    Kernel kernel_;
    Kernels<T> kernels_;
    size_t capacity_ = 0, count_ = 0;
    T* storage_ = nullptr;
    std::vector<T> norms_, diagonal_;
    std::vector<const T*> rows_, found_;
    std::vector<int> missing_;
};

}  // namespace penultimate
