// The arrays of a working set, as the inner loop wants them.
#pragma once

#include <cstdint>
#include <vector>

#include "dual.hpp"
#include "kernels.hpp"
#include "packed.hpp"

namespace penultimate {

// Copies of the working set's coefficients, bounds and residuals, in the order of its places in
// `Packed`, so that the inner loop reads whole vectors.
template <class T>
class InnerProblem {
public:
    // Only differences of residuals matter, so they are taken relative to `middle`, that of the
    // gap: a T resolves values best near zero, and the bits that `Best` (kernels.inl) takes from
    // them are then a share of the gap, not of the residuals' common offset.
    WorkingSet<T> load(const Dual& dual, const std::vector<int>& set, const Packed<T>& packed,
                       const Rows<T>& rows, double middle) {
        const int width = Packed<T>::round_up(size_t(packed.size()));
        const size_t size = size_t(width);
        for (auto* v : {&f_, &diagonal_}) v->assign(size, T(0));
        // Places that are vacant or padding keep these, and can neither grow nor shrink.
        grow_.assign(size, -forbidden<T>);
        shrink_.assign(size, forbidden<T>);
        for (auto* v : {&b_, &low_, &high_}) v->assign(size, 0.0);
        for (int k : set) {
            const size_t p = size_t(packed.place(k)), s = size_t(k);
            f_[p] = T(dual.f[s] - middle);
            diagonal_[p] = rows.diagonal(k);
            b_[p] = dual.b[s];
            low_[p] = dual.low[s];
            high_[p] = dual.high[s];
            if (dual.may_grow(k)) grow_[p] = T(0);
            if (dual.may_shrink(k)) shrink_[p] = T(0);
        }
        return {packed.values(), width, packed.stride(), f_.data(), diagonal_.data(), grow_.data(),
                shrink_.data(), b_.data(), low_.data(), high_.data(), 0.0, 0};
    }

    // The coefficient that the inner loop found for a place.
    double b(int place) const { return b_[size_t(place)]; }

private:
    std::vector<T> f_, diagonal_, grow_, shrink_;
    std::vector<double> b_, low_, high_;
};

}  // namespace penultimate
