#include "memory/keep.h"

#include <cstdlib>  // defines __GLIBC__, where it is glibc

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace striate {

bool keep_memory() {
#if defined(__GLIBC__)
    // mallopt(3): no block gets a mapping of its own, and -1 means never trim.
    return mallopt(M_MMAP_MAX, 0) == 1 && mallopt(M_TRIM_THRESHOLD, -1) == 1;
#else
    return false;
#endif
}

bool return_memory() {
#if defined(__GLIBC__)
    return malloc_trim(0) == 1;
#else
    return false;
#endif
}

}  // namespace striate
