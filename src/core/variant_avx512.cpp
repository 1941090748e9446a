// The inner loops for AVX-512.
#define PENULTIMATE_VARIANT penultimate_avx512
#define PENULTIMATE_BYTES 64
#include "kernels.inl"

namespace penultimate {
// constexpr, so that no code of this instruction set runs when the module is loaded.
extern const Variant variant_avx512;
constexpr Variant variant_avx512 = {PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
