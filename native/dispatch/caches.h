// The caches: their sizes, as the system states them, and how far the last one is.
#pragma once

#include <cstdint>

namespace striate {

constexpr std::int64_t line_floats = 16;  // of the caches: 64 bytes

// Bytes of the second cache, of which a core has one of its own; 1 MiB where the system does not say.
std::int64_t second_cache_bytes();

// Whether the third cache is a few cores' own, and nearly as fast as the second (AMD's chiplets: 22 bytes a cycle and
// core, measured on a Zen 3), or one of the whole processor behind a mesh (7 on an Emerald Rapids).
bool third_cache_is_near();

// Bytes that, once written, are best left to the caches for whoever reads them next. More are better written past them.
std::int64_t kept_bytes();

// Whether that many floats are more than `kept` bytes.
constexpr bool outgrow(std::int64_t floats, std::int64_t kept) {
    return static_cast<std::int64_t>(sizeof(float)) * floats > kept;
}

}  // namespace striate
