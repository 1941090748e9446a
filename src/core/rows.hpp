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

    explicit operator bool() const { return samples || products; }
};

template <class T>
class Rows {
public:
    // `capacity` is in bytes, and no less than a few hundred rows are kept whatever it says.
    Rows(const Source<T>& source, const Kernel& kernel, Range first, Range second, const Blas& blas,
         const Kernels<T>& kernels, size_t capacity, Storage<T>& storage)
        : source_(source), kernel_(kernel), first_(first), second_(second), blas_(blas),
          kernels_(kernels), rows_(size_t(n()), nullptr) {
        capacity_ = std::max(capacity / (size_t(n()) * sizeof(T)), size_t(kMostAtOnce));
        capacity_ = std::min(capacity_, size_t(n()));
        storage_ = storage.at_least(capacity_ * size_t(n()));
        for (int k = 0; k < n(); ++k) {
            const int64_t s = sample(k);
            norms_.push_back(source_.norms ? source_.norms[s] : T(0));
            diagonal_.push_back(diagonal_value(s));
        }
    }

    static constexpr int kMostAtOnce = 512;

    int n() const { return first_.size() + second_.size(); }
    const Blas& blas() const { return blas_; }
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
        fill(storage_ + count_ * size_t(n()));
        count_ += missing_.size();
    }

private:
    int64_t sample(int k) const {
        return k < first_.size() ? first_.begin + k : second_.begin + k - first_.size();
    }

    T diagonal_value(int64_t s) const {
        if (kernel_.type == KernelType::rbf) return T(1);
        T value = source_.products ? source_.products[s * source_.n + s] : source_.norms[s];
        if (kernel_.type != KernelType::precomputed)
            kernels_.finish_row(kernel_, &value, &value, value, &value, 1);
        return value;
    }

    void fill(T* block) {
        const size_t m = size_t(n());
        if (source_.products)
            copy_products(block);
        else
            multiply(block);
        for (size_t r = 0; r < missing_.size(); ++r) {
            const size_t k = size_t(missing_[r]);
            T* row = block + r * m;
            kernels_.finish_row(kernel_, row, row, norms_[k], norms_.data(), int64_t(m));
            row[k] = diagonal_[k];
            rows_[k] = row;
        }
    }

    void copy_products(T* block) const {
        for (int k : missing_) {
            const T* row = source_.products + sample(k) * source_.n;
            block = std::copy(row + first_.begin, row + first_.end, block);
            block = std::copy(row + second_.begin, row + second_.end, block);
        }
    }

    void multiply(T* block) {
        const size_t d = size_t(source_.n_features);
        packed_.resize(missing_.size() * d);
        for (size_t r = 0; r < missing_.size(); ++r) {
            const T* x = source_.samples + size_t(sample(missing_[r])) * d;
            std::copy(x, x + d, packed_.begin() + ptrdiff_t(r * d));
        }
        const int n_rows = int(missing_.size()), n_first = first_.size();
        const Block<T> wanted{packed_.data(), n_rows, int(d)};
        inner_products<T>(blas_, {source_.samples + size_t(first_.begin) * d, n_first, int(d)},
                          wanted, int(d), block, n());
        inner_products<T>(blas_, {source_.samples + size_t(second_.begin) * d, second_.size(), int(d)},
                          wanted, int(d), block + n_first, n());
    }

    Source<T> source_;
    Kernel kernel_;
    Range first_, second_;
    Blas blas_;
    Kernels<T> kernels_;
    size_t capacity_ = 0, count_ = 0;
    T* storage_ = nullptr;
    std::vector<T> norms_, diagonal_, packed_;
    std::vector<const T*> rows_;
    std::vector<int> missing_;
};

}  // namespace penultimate
