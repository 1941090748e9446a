// Rows of a pair's Gram matrix, made when they are first asked for.
#pragma once

#include <memory>
#include <vector>

#include "blas.hpp"
#include "kernels.hpp"

namespace penultimate {

// Two ranges of samples, sorted by class: the two classes of a pair.
struct Range {
    int64_t begin, end;
    int size() const { return int(end - begin); }
};

// Samples as rows of `n_features` values with their squared norms; or, for the precomputed kernel,
// the Gram matrix itself, `n_features` values a row.
template <class T>
struct Samples {
    const T* values;
    const T* norms;
    int n_features;
};

template <class T>
class Rows {
public:
    Rows(const Samples<T>& samples, const Kernel& kernel, Range first, Range second,
         const Blas& blas, const Kernels<T>& kernels, size_t capacity)
        : samples_(samples), kernel_(kernel), first_(first), second_(second), blas_(blas),
          kernels_(kernels), second_offset_(first.size()), rows_(size_t(n()), nullptr) {
        // At least what a working set of a few hundred needs; never more than all rows.
        capacity_ = std::max<size_t>(capacity / (size_t(n()) * sizeof(T)), 1024);
        norms_.reserve(size_t(n()));
        diagonal_.reserve(size_t(n()));
        for (int k = 0; k < n(); ++k) {
            const int64_t s = sample(k);
            norms_.push_back(samples_.norms ? samples_.norms[s] : T(0));
            diagonal_.push_back(diagonal_value(s));
        }
        if (kernel_.type == KernelType::precomputed) {
            second_offset_ = second_.begin - first_.begin;
            for (int k = 0; k < n(); ++k)
                rows_[size_t(k)] = samples_.values + size_t(sample(k)) * size_t(samples_.n_features) +
                                   first_.begin;
        }
    }

    int n() const { return first_.size() + second_.size(); }
    int n_first() const { return first_.size(); }
    T diagonal(int k) const { return diagonal_[size_t(k)]; }
    // Kernel values with the first class's samples, and with the second's.
    const T* with_first(int k) const { return rows_[size_t(k)]; }
    const T* with_second(int k) const { return rows_[size_t(k)] + second_offset_; }

    // Makes the rows of `wanted` present. Rows that are not wanted are dropped when there is no
    // room for more.
    void ensure(const std::vector<int>& wanted) {
        missing_.clear();
        for (int k : wanted)
            if (!rows_[size_t(k)]) missing_.push_back(k);
        if (missing_.empty()) return;
        if (count_ + missing_.size() > capacity_) {
            blocks_.clear();
            std::fill(rows_.begin(), rows_.end(), nullptr);
            count_ = 0;
            missing_ = wanted;
        }
        count_ += missing_.size();
        blocks_.emplace_back(new T[missing_.size() * size_t(n())]);
        T* block = blocks_.back().get();
        fill(block);
        for (size_t r = 0; r < missing_.size(); ++r) rows_[size_t(missing_[r])] = block + r * size_t(n());
    }

private:
    int64_t sample(int k) const {
        return k < first_.size() ? first_.begin + k : second_.begin + k - first_.size();
    }

    T diagonal_value(int64_t s) const {
        if (kernel_.type == KernelType::rbf) return T(1);
        const size_t d = size_t(samples_.n_features);
        if (kernel_.type == KernelType::precomputed) return samples_.values[size_t(s) * d + size_t(s)];
        T value = samples_.norms[s];
        kernels_.finish_row(kernel_, &value, &value, value, samples_.norms + s, 1);
        return value;
    }

    void fill(T* block) {
        const size_t d = size_t(samples_.n_features), m = size_t(n()), n_rows = missing_.size();
        const int n_first = first_.size(), n_second = second_.size();
        packed_.resize(n_rows * d);
        for (size_t r = 0; r < n_rows; ++r) {
            const T* x = samples_.values + size_t(sample(missing_[r])) * d;
            std::copy(x, x + d, packed_.begin() + ptrdiff_t(r * d));
        }
        const int rows = int(n_rows), features = int(d), stride = int(m);
        gemm(blas_, n_first, rows, features, samples_.values + size_t(first_.begin) * d,
             packed_.data(), block, stride);
        gemm(blas_, n_second, rows, features, samples_.values + size_t(second_.begin) * d,
             packed_.data(), block + n_first, stride);
        for (size_t r = 0; r < n_rows; ++r) {
            const size_t k = size_t(missing_[r]);
            T* row = block + r * m;
            kernels_.finish_row(kernel_, row, row, norms_[k], norms_.data(), int64_t(m));
            block[r * m + k] = diagonal_[k];
        }
    }

    Samples<T> samples_;
    Kernel kernel_;
    Range first_, second_;
    Blas blas_;
    Kernels<T> kernels_;
    ptrdiff_t second_offset_;
    size_t capacity_ = 0, count_ = 0;
    std::vector<T> norms_, diagonal_, packed_;
    std::vector<const T*> rows_;
    std::vector<int> missing_;
    std::vector<std::unique_ptr<T[]>> blocks_;
};

}  // namespace penultimate
