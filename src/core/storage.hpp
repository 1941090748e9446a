// Memory that grows and is reused: getting fresh pages from the system costs more than filling
// them.
#pragma once

#include <cstddef>
#include <memory>

namespace penultimate {

template <class T>
class Storage {
public:
    // Room for `size` values, uninitialized; the content is lost when it has to grow.
    T* at_least(size_t size) {
        if (size > size_) {
            values_.reset();  // first, so that both are never held
            values_.reset(new T[size]);
            size_ = size;
        }
        return values_.get();
    }

private:
    std::unique_ptr<T[]> values_;
    size_t size_ = 0;
};

}  // namespace penultimate
