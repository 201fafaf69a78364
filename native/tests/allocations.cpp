#include "tests/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> count{0}, failing{-1};

void* counted(void* block) {
    const long number = count.fetch_add(1, std::memory_order_relaxed);
    if (number == failing.load(std::memory_order_relaxed)) std::free(block), block = nullptr;
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

}  // namespace

long striate::allocations() { return count.load(); }
void striate::fail_after(long so_many) { failing.store(count.load() + so_many); }

// All forms that end in a `delete` of ours: a sanitizer has its own of each, and minds a block of one freed by another.
void* operator new(std::size_t size) { return counted(std::malloc(size > 0 ? size : 1)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto line = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(line, (size + line - 1) / line * line));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return count.fetch_add(1, std::memory_order_relaxed), std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    const auto line = static_cast<std::size_t>(alignment);
    return count.fetch_add(1, std::memory_order_relaxed), std::aligned_alloc(line, (size + line - 1) / line * line);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
