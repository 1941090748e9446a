// The inner loops for avx512.
#define PENULTIMATE_VARIANT penultimate_avx512
#define PENULTIMATE_BYTES 64
#include "kernels.inl"

namespace penultimate {
// A constant, lest code of this instruction set run when the module is loaded.
extern const Variant variant_avx512;
constexpr Variant variant_avx512 = {"avx512", PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
