// Pixels fetched before their turn.
#pragma once

#include <cstdint>

namespace striate {

// Lines of the image that a later chunk reads, fetched into the second cache a few at a time between products.
class WinogradAhead {
public:
    WinogradAhead() = default;
    // `count` stretches of `bytes`, `step` bytes apart, in about `calls` calls of fetch().
    WinogradAhead(const float* first, std::int64_t count, std::int64_t step, std::int64_t bytes, std::int64_t calls)
        : at_(reinterpret_cast<const char*>(first)), left_(count), step_(step), bytes_(bytes) {
        const std::int64_t lines = count * ((bytes + line - 1) / line);
        lines_ = calls > 0 ? (lines + calls - 1) / calls : lines;
    }
    void fetch() {
        for (std::int64_t i = 0; i < lines_ && left_ > 0; ++i) {
            __builtin_prefetch(at_ + offset_, 0, 2);
            offset_ += line;
            if (offset_ >= bytes_) offset_ = 0, at_ += step_, --left_;
        }
    }

private:
    static constexpr std::int64_t line = 64;
    const char* at_ = nullptr;
    std::int64_t left_ = 0, step_ = 0, bytes_ = 0, lines_ = 0, offset_ = 0;
};

}  // namespace striate
