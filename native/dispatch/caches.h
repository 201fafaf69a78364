// Sizes of the caches, as the system states them.
#pragma once

#include <cstdint>

namespace striate {

// Bytes of the second cache, of which a core has one of its own; 1 MiB where the system does not say.
std::int64_t second_cache_bytes();

}  // namespace striate
