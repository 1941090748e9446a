// The dual problem of one pair of classes, by decomposition.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "rows.hpp"

namespace penultimate {

enum class Status : int { converged = 0, precision_limit = 1, iteration_limit = 2, cancelled = 3 };

struct Solution {
    std::vector<double> b;  // signed coefficients, the first class's samples first
    double intercept = 0;
    double gap = 0;         // the largest violation of the optimality conditions, in float64
    int64_t iterations = 0;
    Status status = Status::converged;
};

struct PairProblem {
    Range first, second;          // samples of the class +1, and of the class -1
    const double* upper;          // C times weights, a value a sample (of all samples, sorted)
    double tolerance = 1e-3;
    int64_t max_iterations = 0;
};

struct Data {
    Samples<float> single;
    Samples<double> twice;
    Kernel kernel;
    Blas blas;
    const Variant* variant;
    size_t memory;                // bytes for rows of the Gram matrix, for each problem
    const std::atomic<bool>* cancelled;
};

// One problem to its tolerance, finished and certified in float64.
Solution solve_pair(const Data& data, const PairProblem& problem);

// The same problem for ascending factors of its upper bounds, each started where the last one
// ended, in float32 alone: for scores, not for certificates. `found(c, solution)` hears of each.
void solve_path(const Data& data, const PairProblem& problem, const std::vector<double>& factors,
                const std::function<void(size_t, const Solution&)>& found);

}  // namespace penultimate
