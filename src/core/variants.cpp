// The choice of the variant of the inner loops, by what this processor supports.
#include <cstring>

#include "kernels.hpp"

namespace penultimate {

extern const Variant variant_plain;

#ifdef PENULTIMATE_X86
extern const Variant variant_avx2, variant_avx512;

const Variant* choose_variant(const char* name) {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && (!name || !std::strcmp(name, "avx512"))) return &variant_avx512;
    if (avx2 && (!name || !std::strcmp(name, "avx2"))) return &variant_avx2;
    return !name || !std::strcmp(name, "plain") ? &variant_plain : nullptr;
}
#else
const Variant* choose_variant(const char* name) {
    return !name || !std::strcmp(name, "plain") ? &variant_plain : nullptr;
}
#endif

}  // namespace penultimate
