// cpuid by way of the compiler's runtime, which also asks the system (XGETBV) whether it saves the wide registers.
#include "dispatch/isa.h"

namespace striate {

#if defined(__x86_64__)

std::vector<std::string> cpu_features() {
    __builtin_cpu_init();
    std::vector<std::string> found;
#define STRIATE_FEATURE(feature) \
    if (__builtin_cpu_supports(feature)) found.emplace_back(feature)  // takes a literal only, hence the macro
    STRIATE_FEATURE("sse2");
    STRIATE_FEATURE("ssse3");
    STRIATE_FEATURE("sse4.1");
    STRIATE_FEATURE("sse4.2");
    STRIATE_FEATURE("popcnt");
    STRIATE_FEATURE("avx");
    STRIATE_FEATURE("avx2");
    STRIATE_FEATURE("fma");
    STRIATE_FEATURE("avx512f");
    STRIATE_FEATURE("avx512bw");
    STRIATE_FEATURE("avx512vl");
    STRIATE_FEATURE("avx512dq");
    STRIATE_FEATURE("avx512vbmi");
    STRIATE_FEATURE("avx512vnni");
    STRIATE_FEATURE("avx512bf16");
    STRIATE_FEATURE("avx512vpopcntdq");
#undef STRIATE_FEATURE
    return found;
}

#elif defined(__aarch64__)

std::vector<std::string> cpu_features() {
    return {"neon"};  // part of the architecture
}

#else

std::vector<std::string> cpu_features() { return {}; }

#endif

}  // namespace striate
