// Changes of coefficients whose effect on the residuals is still to be applied.
#pragma once

#include <algorithm>
#include <vector>

#include "dual.hpp"
#include "rows.hpp"

namespace penultimate {

// Residuals are needed only between rounds, so moves are collected and applied together: each Gram
// row is then fetched once per round, and f is read and written once for eight rows.
template <class T>
class Moves {
public:
    void note(int k, double step) {
        moved_.push_back(k);
        steps_.push_back(step);
    }

    // Updates all residuals, f -= K steps, and forgets the moves. Returns by how much they raise
    // the objective: it is quadratic, and the residuals are its gradient, so that is exactly the
    // moves times the mean of the residuals before and after.
    double apply(Rows<T>& rows, const Kernels<T>& kernels, Dual& dual) {
        const double before = times_residuals(dual);
        // In chunks that fit into the cache of rows, whatever its capacity.
        for (size_t begin = 0; begin < moved_.size(); begin += size_t(Rows<T>::kMostAtOnce)) {
            const size_t count = std::min(moved_.size() - begin, size_t(Rows<T>::kMostAtOnce));
            rows.ensure(moved_.data() + begin, count);
            pointers_.clear();
            for (size_t m = begin; m < begin + count; ++m) pointers_.push_back(rows[moved_[m]]);
            kernels.subtract_rows(dual.f.data(), pointers_.data(), steps_.data() + begin,
                                  int(count), dual.n);
        }
        const double after = times_residuals(dual);
        moved_.clear();
        steps_.clear();
        return 0.5 * (before + after);
    }

private:
    double times_residuals(const Dual& dual) const {
        double sum = 0;
        for (size_t m = 0; m < moved_.size(); ++m) sum += steps_[m] * dual.f[size_t(moved_[m])];
        return sum;
    }

    std::vector<int> moved_;
    std::vector<double> steps_;
    std::vector<const T*> pointers_;
};

}  // namespace penultimate
