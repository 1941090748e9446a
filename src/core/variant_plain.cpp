// The inner loops for any processor.
#define PENULTIMATE_VARIANT penultimate_plain
#define PENULTIMATE_BYTES 16
#include "kernels.inl"

namespace penultimate {
// A constant, lest code of this instruction set run when the module is loaded.
extern const Variant variant_plain;
constexpr Variant variant_plain = {"plain", PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
