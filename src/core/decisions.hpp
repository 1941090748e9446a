// Decision values of all pairs of classes, and the classes that they vote for.
//
// The kernel values of a sample with the support vectors of a class serve all pairs of that class
// and, in a search, all settings of a kernel: they are made once, class by class, and multiplied by
// all coefficient rows together. A pair's value is then the sum of two of these products.
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "kernels.hpp"
#include "parallel.hpp"
#include "storage.hpp"

namespace penultimate {

// Source of the inner products of samples with support vectors: a matrix with these among its rows
// and columns, or else the features of both.
template <class T>
struct Cross {
    const T* products = nullptr;
    int64_t stride = 0;                  // of the matrix
    const int64_t* sample_at = nullptr;  // rows of the matrix
    const int64_t* support_at = nullptr; // columns of the matrix
    const T* samples = nullptr;
    const T* support = nullptr;
    int n_features = 0;
    const T* sample_norms = nullptr;     // squared norms
    const T* support_norms = nullptr;
};

// Classifiers that share their support vectors, which are sorted by class.
template <class T>
struct Machines {
    int n_settings, n_classes;
    const int64_t* starts;     // where each class begins, n_classes + 1 values
    // (settings, classes - 1, support vectors), in libsvm's layout: for a support vector of class
    // c, the row of another class o is o, or o - 1 where o > c.
    const T* coefficients;
    const double* intercepts;  // (settings, pairs)

    int n_support() const { return int(starts[n_classes]); }
    int n_pairs() const { return n_classes * (n_classes - 1) / 2; }
    int n_rows() const { return n_settings * (n_classes - 1); }  // of coefficients
};

// Outputs for `n` samples: (settings, n) class indices, and (settings, n, pairs) values that are
// positive for the first class of a pair. Either may be null.
template <class T>
struct Decisions {
    int64_t n;
    int32_t* winners;
    T* values;
};

template <class T>
class Decider {
public:
    Decider(const Machines<T>& machines, const Cross<T>& cross, const Kernel& kernel,
            const Blas& blas, const Kernels<T>& kernels, const Decisions<T>& out)
        : machines_(machines), cross_(cross), kernel_(kernel), blas_(blas), kernels_(kernels),
          out_(out) {}

    // Rows per block: few enough that they and the kernel values of a class stay in cache (in
    // float64, where our own loops read the samples; BLAS makes blocks of its own), and that the
    // sums of all classes stay below 4 million values. At least 4, the height of a tile.
    int rows_at_once() const {
        const int64_t sums = int64_t(machines_.n_classes) * machines_.n_rows();
        const int64_t most = std::min<int64_t>(256, (int64_t(1) << 22) / sums);
        constexpr int64_t kept = int64_t(1) << 17;  // values: 1 MB of float64
        return int(std::max<int64_t>(4, cross_.samples && sizeof(T) == 8
            ? std::min(most, std::max<int64_t>(16, kept / std::max(1, cross_.n_features))) : most));
    }

    // Approximate number of multiply-adds for `n` samples.
    double work(int64_t n) const {
        return double(n) * machines_.n_support() *
               double((cross_.products ? 1 : cross_.n_features) + machines_.n_rows());
    }

    void decide(int64_t begin, int64_t end) {
        const int n = int(end - begin), n_rows = machines_.n_rows();
        T* sums = sums_.at_least(size_t(machines_.n_classes) * size_t(n) * size_t(n_rows));
        for (int c = 0; c < machines_.n_classes; ++c) {
            const int first = int(machines_.starts[c]);
            const int count = int(machines_.starts[c + 1]) - first;
            T* part = sums + size_t(c) * size_t(n) * size_t(n_rows);
            if (count == 0) {
                std::fill(part, part + size_t(n) * size_t(n_rows), T(0));
                continue;
            }
            const T* K = kernel_values(begin, n, first, count);
            multiply({machines_.coefficients + first, n_rows, machines_.n_support()}, {K, n, count},
                     count, part, n_rows);
        }
        for (int setting = 0; setting < machines_.n_settings; ++setting)
            for (int r = 0; r < n; ++r) vote(setting, begin + r, sums + size_t(r) * size_t(n_rows),
                                             size_t(n) * size_t(n_rows));
    }

private:
    // c[r][s] = <row r of b, row s of a>. Searches use float32, and BLAS. `predict` uses float64,
    // and our own loops, for three reasons: BLAS packs its operands, which for a single row costs
    // more than the products; its rounding depends on the number of rows, so a sample's values
    // would depend on its neighbors; and it has its own threads, whose limit is a process-wide
    // setting that concurrent predictions would have to share.
    void multiply(Block<T> a, Block<T> b, int length, T* c, int stride) const {
        if constexpr (sizeof(T) == 4)
            inner_products<T>(blas_, a, b, length, c, stride);
        else
            kernels_.multiply({b.values, b.n_rows, b.stride}, {a.values, a.n_rows, a.stride}, length,
                              c, stride);
    }

    const T* kernel_values(int64_t begin, int n, int first, int count) {
        T* K = K_.at_least(size_t(n) * size_t(count));
        if (cross_.products)
            gather(begin, n, first, count, K);
        else
            multiply(
                {cross_.support + size_t(first) * size_t(cross_.n_features), count, cross_.n_features},
                {cross_.samples + size_t(begin) * size_t(cross_.n_features), n, cross_.n_features},
                cross_.n_features, K, count);
        const T* norms = cross_.support_norms ? cross_.support_norms + first : nullptr;
        for (int r = 0; r < n; ++r) {
            T* row = K + size_t(r) * size_t(count);
            kernels_.finish_row(kernel_, row, row,
                                cross_.sample_norms ? cross_.sample_norms[begin + r] : T(0), norms,
                                count);
        }
        return K;
    }

    void gather(int64_t begin, int n, int first, int count, T* K) const {
        for (int r = 0; r < n; ++r) {
            const T* row = cross_.products + cross_.sample_at[begin + r] * cross_.stride;
            for (int k = 0; k < count; ++k) *K++ = row[cross_.support_at[first + k]];
        }
    }

    // Writes the class that wins the most pairs; ties go to the lowest index, as in libsvm. `sums`
    // are a sample's with the first class; those of each next class are `class_stride` further.
    void vote(int setting, int64_t sample, const T* sums, size_t class_stride) {
        const int n_classes = machines_.n_classes;
        const double* intercept = machines_.intercepts + int64_t(setting) * machines_.n_pairs();
        sums += setting * (n_classes - 1);
        T* values = nullptr;
        if (out_.values)
            values = out_.values + (int64_t(setting) * out_.n + sample) * machines_.n_pairs();
        votes_.assign(size_t(n_classes), 0);
        for (int i = 0; i < n_classes; ++i)
            for (int j = i + 1; j < n_classes; ++j) {
                const T value = T(sums[size_t(i) * class_stride + size_t(j - 1)] +
                                  sums[size_t(j) * class_stride + size_t(i)] + *intercept++);
                ++votes_[size_t(value > 0 ? i : j)];
                if (values) *values++ = value;
            }
        if (out_.winners)
            out_.winners[int64_t(setting) * out_.n + sample] = int32_t(
                std::max_element(votes_.begin(), votes_.end()) - votes_.begin());
    }

    Machines<T> machines_;
    Cross<T> cross_;
    Kernel kernel_;
    Blas blas_;
    Kernels<T> kernels_;
    Decisions<T> out_;
    Storage<T> K_, sums_;
    std::vector<int> votes_;
};

// Decides all samples of `out`, on threads where that pays.
template <class T>
void decide(const Machines<T>& machines, const Cross<T>& cross, const Kernel& kernel,
            const Blas& blas, const Kernels<T>& kernels, const Decisions<T>& out,
            const Workers& workers) {
    // A few milliseconds of work, of which starting threads would take a good part.
    constexpr double kInline = double(1 << 25);
    Decider<T> decider(machines, cross, kernel, blas, kernels, out);
    const int64_t n = out.n;
    if (n == 1 || decider.work(n) <= kInline) {  // one row cannot be divided
        const int64_t step = decider.rows_at_once();
        for (int64_t begin = 0; begin < n; begin += step)
            decider.decide(begin, std::min(n, begin + step));
        return;
    }
    // If there are few rows, each thread gets an equal share of them, in multiples of four, the
    // height of a tile.
    const int64_t share = (n + workers.n_threads - 1) / workers.n_threads;
    const int64_t step = std::min<int64_t>(decider.rows_at_once(), (share + 3) / 4 * 4);
    std::atomic<bool> cancelled{false};
    run_parallel(workers, int((n + step - 1) / step), cancelled, [&] {
        return [&, mine = Decider<T>(machines, cross, kernel, blas, kernels, out)](int k) mutable {
            mine.decide(k * step, std::min(n, (k + 1) * step));
        };
    });
}

}  // namespace penultimate
