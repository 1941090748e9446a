// The inner loops for any processor.
#define PENULTIMATE_VARIANT penultimate_plain
#define PENULTIMATE_BYTES 16
#include "kernels.inl"

namespace penultimate {
extern const Variant variant_plain;
const Variant variant_plain = {"plain", PENULTIMATE_VARIANT::table<float>(),
                            PENULTIMATE_VARIANT::table<double>()};
}  // namespace penultimate
