// The dual problem of one pair of classes.
#pragma once

#include <functional>
#include <vector>

#include "decomposition.hpp"

namespace penultimate {

struct Solution {
    std::vector<double> b;  // signed coefficients, the first class's samples first
    double intercept = 0;
    double gap = 0;         // the largest violation of the optimality conditions, in float64
    int64_t iterations = 0;
    Status status = Status::converged;
};

// Two ranges of samples: the classes +1 and -1.
struct Pair {
    Range first, second;
};

struct Data {
    Source<float> single;
    Source<double> twice;
    Blas blas;
    const Variant* variant;
    size_t memory;          // bytes for rows of matrices, for each problem
};

struct Workspace {
    Buffers<float> single;
    Buffers<double> twice;
};

// One problem to its tolerance, finished and certified in float64. `upper` has C times its weight
// for each sample (of all samples, sorted by class).
Solution solve_pair(const Data& data, const Kernel& kernel, const Pair& pair, const double* upper,
                    const Limits& limits, Workspace& workspace);

// A kernel with several folds, each with weights of its own, and ascending factors of them.
struct Job {
    Kernel kernel;
    std::vector<const double*> folds;
    std::vector<double> factors;
    double tolerance;
    std::function<void(size_t, size_t, const Solution&)> found;  // (fold, factor, solution)
};

// A pair in several jobs: in float32 alone, for scores and not for certificates.
void solve_jobs(const Data& data, const Pair& pair, const std::vector<Job>& jobs, Limits limits,
                Workspace& workspace);

}  // namespace penultimate
