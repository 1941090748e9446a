// The inner loops for AVX2 and FMA.
#define PENULTIMATE_VARIANT penultimate_avx2
#define PENULTIMATE_BYTES 32
#include "kernels.inl"

namespace penultimate {
// constexpr, so that no code of this instruction set runs when the module is loaded.
extern const Variant variant_avx2;
constexpr Variant variant_avx2 = {PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
