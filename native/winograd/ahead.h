// Pixels fetched before their turn.
#pragma once

#include <algorithm>
#include <cstdint>

namespace striate {

// Lines of the image that a later chunk reads, fetched into the second cache a few at a time between products.
class WinogradAhead {
public:
    // `count` stretches of `bytes`, `step` floats apart.
    struct Stretches {
        const float* first;
        std::int64_t count, step, bytes;
    };

    WinogradAhead() = default;
    // `planes` times these stretches, `plane` floats apart, in about `calls` calls, of which fetch(n) makes n.
    WinogradAhead(const Stretches& stretches, std::int64_t planes, std::int64_t plane, std::int64_t calls)
        : stretches_(stretches), planes_(stretches.count > 0 && stretches.bytes > 0 ? planes : 0), plane_(plane) {
        const std::int64_t lines = planes_ * stretches.count * ((stretches.bytes + line - 1) / line);
        lines_ = calls > 0 ? (lines + calls - 1) / calls : lines;
    }
    void fetch(std::int64_t calls) {
        for (std::int64_t left = planes_ > 0 ? lines_ * calls : 0; left > 0;) {
            const char* const at = reinterpret_cast<const char*>(stretches_.first + index_ * stretches_.step) + offset_;
            const std::int64_t lines = std::min(left, (stretches_.bytes - offset_ + line - 1) / line);
            for (std::int64_t i = 0; i < lines; ++i) __builtin_prefetch(at + i * line, 0, 2);
            left -= lines;
            if ((offset_ += lines * line) < stretches_.bytes) continue;
            offset_ = 0;
            if (++index_ < stretches_.count) continue;
            index_ = 0, stretches_.first += plane_;
            if (--planes_ == 0) return;
        }
    }

private:
    static constexpr std::int64_t line = 64;
    Stretches stretches_ = {};
    std::int64_t planes_ = 0, plane_ = 0, lines_ = 0, index_ = 0, offset_ = 0;
};

}  // namespace striate
