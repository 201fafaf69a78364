// Memory for workspaces and packed weights: aligned, on large pages where the system has them, and kept.
#pragma once

#include <cstdint>
#include <memory>

namespace striate {

struct FreeFloats {
    void operator()(float* block) const;
};
using Floats64 = std::unique_ptr<float[], FreeFloats>;

// `count` floats, not initialised, aligned to 64 bytes; from 2 MiB on to 2 MiB, and marked for large pages, which save
// a page-table walk for each 4 KiB touched. Throws std::bad_alloc.
Floats64 aligned_floats(std::int64_t count);

// A block that grows to the largest size ever asked for and keeps it.
class Arena {
public:
    // At least `count` floats; what an earlier call returned is gone if this one had to grow. Throws std::bad_alloc.
    float* floats(std::int64_t count);

private:
    Floats64 block_;
    std::int64_t size_ = 0;
};

}  // namespace striate
