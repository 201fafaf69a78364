#include "resize/resize.h"

#include <cstring>
#include <vector>

#include "ref/resize.h"

namespace striate {

void resize(const std::uint8_t* in, std::int64_t height, std::int64_t width, std::int64_t channels, std::uint8_t* out,
            std::int64_t out_height, std::int64_t out_width, Filter filter, Isa isa) {
    static_cast<void>(isa);
    const bool across_changes = width != out_width, down_changes = height != out_height;
    if (!across_changes && !down_changes) {
        std::memcpy(out, in, height * width * channels);
        return;
    }
    std::vector<std::uint8_t> between;
    if (across_changes) {
        const Taps across = taps_of(filter, width, out_width);
        std::uint8_t* to = out;
        if (down_changes) {
            between.resize(height * out_width * channels);
            to = between.data();
        }
        reference::resize_across(across, in, height, channels, to);
        in = to;
    }
    if (down_changes) reference::resize_down(taps_of(filter, height, out_height), in, out_width * channels, out);
}

}  // namespace striate
