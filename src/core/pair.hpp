// The dual problem of one pair of classes.
#pragma once

#include <functional>
#include <vector>

#include "decomposition.hpp"

namespace penultimate {

struct Solution {
    std::vector<double> b;  // signed coefficients, the first class's samples first
    std::vector<double> f;  // their residuals
    double intercept = 0;
    double gap = 0;         // the largest violation of the optimality conditions
    int64_t iterations = 0;
    Status status = Status::converged;
};

// Signed coefficients to start from, in the order of a solution's; or none. Their residuals may be
// known, with NaN for those that are not; or none are.
struct Start {
    std::vector<double> b, f;

    bool is_mostly_known() const;
};

// The samples of classes +1 and -1.
struct Pair {
    Range first, second;
};

// The same samples in both precisions. Those in float32 may be missing: where they are out of its
// range, everything is done in float64.
struct Data {
    Source<float> f32;
    Source<double> f64;
    Blas blas;
    const Variant* variant;
    size_t memory;          // bytes for matrix rows, per problem
};

struct Workspace {
    Buffers<float> f32;
    Buffers<double> f64;
};

// Solves one problem to its tolerance, finished and certified in float64. `C_per_sample` holds C
// times the weight of each sample, for all samples of all classes, sorted by class.
Solution solve_pair(const Data& data, const Kernel& kernel, const Pair& pair,
                    const double* C_per_sample, const Start& start, const Limits& limits,
                    Workspace& workspace);

// A kernel with several folds, each with its own sample weights, and ascending values of C.
struct Job {
    Kernel kernel;
    std::vector<const double*> fold_weights;
    std::vector<double> Cs;
    double tolerance;
    std::function<void(size_t, size_t, const Solution&)> on_solution;  // (fold, C, solution)
};

// Solves a pair in several jobs, in float32 only: for scores, not for certificates.
void solve_jobs(const Data& data, const Pair& pair, const std::vector<Job>& jobs, Limits limits,
                Workspace& workspace);

}  // namespace penultimate
