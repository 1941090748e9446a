// The part of a pair's Gram matrix that the inner solver works on.
#pragma once

#include <algorithm>
#include <vector>

#include "rows.hpp"

namespace penultimate {

// A sample that joins gets a place, that is, a row and a column of a dense matrix. It keeps them
// when it leaves the working set, because it often comes back: a change of the set, of the bounds
// or of the fold then costs only the rows of new samples.
template <class T>
class Packed {
public:
    Packed(int n_samples, Storage<T>& storage)
        : place_(size_t(n_samples), -1), storage_(storage) {}

    // Rounded up to 32: two AVX-512 vectors of float.
    static int round_up(size_t n) { return int((n + 31) / 32) * 32; }

    int size() const { return int(samples_.size()); }
    int stride() const { return stride_; }
    const T* values() const { return K_; }
    int place(int sample) const { return place_[size_t(sample)]; }

    // Gives each sample of the set a place. False if `cancelled` interrupted it; nothing here may
    // be used after that.
    template <class Cancelled>
    bool add(const std::vector<int>& set, Rows<T>& rows, const Cancelled& cancelled) {
        incoming_.clear();
        for (int k : set)
            if (place(k) < 0) incoming_.push_back(k);
        // Places of samples that left make every pass of the inner loop longer: if there are too
        // many of them, start over with the set alone.
        const size_t most = std::min(set.size() + set.size() / 4 + 32, size_t(most_places<T>));
        if (samples_.size() + incoming_.size() > most ||
            round_up(samples_.size() + incoming_.size()) > stride_) {
            for (int k : samples_) place_[size_t(k)] = -1;
            samples_.clear();
            incoming_ = set;
            reserve(most);
        }
        // In the order that `GramSource::fill` needs, in which memory is read forwards, too.
        std::sort(incoming_.begin(), incoming_.end());
        for (size_t begin = 0; begin < incoming_.size(); begin += Rows<T>::kMostAtOnce) {
            if (cancelled()) return false;
            fill(incoming_.data() + begin,
                 std::min(incoming_.size() - begin, size_t(Rows<T>::kMostAtOnce)), rows);
        }
        return true;
    }

private:
    void reserve(size_t n) {
        stride_ = round_up(n);
        K_ = storage_.at_least(size_t(stride_) * size_t(stride_));
    }

    void fill(const int* incoming, size_t count, Rows<T>& rows) {
        rows.ensure(incoming, count);
        const size_t old = samples_.size(), stride = size_t(stride_);
        for (size_t a = 0; a < count; ++a) {
            place_[size_t(incoming[a])] = int(old + a);
            samples_.push_back(incoming[a]);
        }
        for (size_t a = 0; a < count; ++a) {
            const T* row = rows[incoming[a]];
            T* packed = K_ + (old + a) * stride;
            for (size_t c = 0; c < samples_.size(); ++c) packed[c] = row[samples_[c]];
        }
        for (size_t c = 0; c < old; ++c)
            for (size_t a = old; a < samples_.size(); ++a) K_[c * stride + a] = K_[a * stride + c];
        // The inner loop reads padding, too, and compares the results: they must not be NaN.
        const size_t width = size_t(round_up(samples_.size()));
        for (size_t c = 0; c < samples_.size(); ++c)
            std::fill(K_ + c * stride + samples_.size(), K_ + c * stride + width, T(0));
    }

    std::vector<int> place_, samples_, incoming_;
    Storage<T>& storage_;
    T* K_ = nullptr;
    int stride_ = 0;
};

}  // namespace penultimate
