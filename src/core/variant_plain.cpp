// The inner loops for any processor: 16 bytes are the vectors of SSE2 and NEON.
#define PENULTIMATE_VARIANT penultimate_plain
#define PENULTIMATE_BYTES 16
#include "kernels.inl"

namespace penultimate {
// constexpr, so that no code of this instruction set runs when the module is loaded.
extern const Variant variant_plain;
constexpr Variant variant_plain = {PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
