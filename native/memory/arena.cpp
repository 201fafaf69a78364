#include "memory/arena.h"

#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace striate {

namespace {

constexpr std::size_t line = 64;
constexpr std::size_t large_page = std::size_t{2} << 20;
constexpr std::int64_t most_floats = std::int64_t{1} << 60;  // 4 EiB, which no machine has and a size_t still counts

}  // namespace

void FreeFloats::operator()(float* block) const { std::free(block); }

Floats64 aligned_floats(std::int64_t count) {
    if (count < 0 || count > most_floats) throw std::bad_alloc();
    const std::size_t wanted = static_cast<std::size_t>(count) * sizeof(float);
    const std::size_t alignment = wanted >= large_page ? large_page : line;
    const std::size_t bytes = (wanted + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes);
    if (block == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == large_page) madvise(block, bytes, MADV_HUGEPAGE);  // a wish: refused, the pages are small ones
#endif
    return Floats64(static_cast<float*>(block));
}

float* Arena::floats(std::int64_t count) {
    if (count > size_ || block_ == nullptr) {
        block_.reset();  // first, so that old and new need not fit side by side
        size_ = 0;
        block_ = aligned_floats(count);
        size_ = count;
    }
    return block_.get();
}

}  // namespace striate
