// The division of the work into tasks: pairs of classes, jobs of a search, blocks of a matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pair.hpp"
#include "parallel.hpp"

namespace penultimate {

// Two classes, i < j, and the pair's position in libsvm's order.
struct ClassPair {
    size_t index, i, j;
    Pair pair;
    int size() const { return pair.first.size() + pair.second.size(); }
};

// Destination of solutions. `coefficients` is (settings, classes - 1, samples), laid out as in
// `Machines`; the others are (settings, pairs). Each pair writes to places of its own, so threads
// need no lock.
template <class T>
struct Solutions {
    T* coefficients;
    double *intercepts, *gaps;
    size_t n_classes, n_samples;
    double* residuals = nullptr;  // laid out as the coefficients, of one setting; or not wanted

    void store(size_t setting, const ClassPair& classes, const Solution& solution) const;
    // The coefficients that `store` has written, and the residuals, in the order of a solution.
    Start start_of(const ClassPair& classes) const;
};

// Solves every pair on its own, certified. `iterations` and `statuses` have one value per pair, and
// `C_per_sample` one per sample. With `unchanged`, one value per pair, `out` holds the coefficients to
// start from, with residuals if these are wanted, NaN where unknown; where `unchanged` is not zero, all
// of the pair's outputs are there already, and stay.
void solve_pairs(Data data, const Kernel& kernel, const std::vector<Range>& classes,
                 const double* C_per_sample, const int64_t* unchanged, Limits limits,
                 const Solutions<double>& out, int64_t* iterations, int64_t* statuses,
                 const Workers& workers);

// A kernel with its folds and ascending values of C, and the destination of their solutions.
struct GridJob {
    Kernel kernel;
    // (folds, samples): the weights of a fold's training samples, and zero for those held out,
    // whose coefficients then cannot leave zero.
    const double* weights;
    size_t n_folds;
    std::vector<double> Cs;
    double tolerance;
    Solutions<float> out;  // settings are (fold, C), folds first

    // Folds `begin` to `end`, for one pair.
    Job on_folds(size_t begin, size_t end, const ClassPair& classes) const;
};

// Solves every pair in all jobs, for scores. The jobs of a pair share inner products, its folds
// share kernel values and start from one another's solutions.
void solve_grid(Data data, const std::vector<Range>& classes,
                const std::vector<const GridJob*>& jobs, Limits limits, const Workers& workers);

// Writes all inner products of the samples into `products`, (samples, samples).
void multiply_all(const Blas& blas, const Block<float>& samples, float* products,
                  const Workers& workers);

// Writes the inner products within each class into `within_class`, one class after the other.
void multiply_within(const Blas& blas, const Block<float>& samples,
                     const std::vector<Range>& classes, float* within_class,
                     const Workers& workers);

}  // namespace penultimate
