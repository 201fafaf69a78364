#include "dispatch/caches.h"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace striate {

std::int64_t second_cache_bytes() {
    std::int64_t bytes = 0;
#if defined(__linux__) && defined(_SC_LEVEL2_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? bytes : std::int64_t{1} << 20;
}

bool third_cache_is_near() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0;
#else
    return false;
#endif
}

std::int64_t kept_bytes() { return (third_cache_is_near() ? std::int64_t{8} : std::int64_t{32}) << 20; }

}  // namespace striate
