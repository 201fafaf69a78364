#include "resize/resize.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "dispatch/kernels.h"
#include "ref/resize.h"
#include "resize/kernels.h"

namespace striate {

namespace {

void resize_across(const TapsView& taps, const std::uint8_t* in, std::int64_t height, std::int64_t channels,
                   std::uint8_t* out, Isa isa) {
    if (isa == Isa::reference) return reference::resize_across(taps, in, height, channels, out);
    const ResizeKernels& kernels = STRIATE_KERNELS_OF(isa, resize_kernels);
    const std::int64_t row_nbytes = taps.in * channels, out_row_nbytes = taps.out * channels;
    const std::int64_t readable = readable_nbytes(taps, channels), image_nbytes = height * row_nbytes;
    // The kernels read on behind a row. Behind most rows lies the next one; the last ones are copied to where they may.
    const auto padded = std::make_unique<std::uint8_t[]>(rows_at_once * readable);
    for (std::int64_t y = 0; y < height; y += rows_at_once) {
        const std::uint8_t* rows[rows_at_once];
        std::uint8_t* to[rows_at_once];
        for (std::int64_t r = 0; r < rows_at_once; ++r) {
            const std::int64_t row = std::min(y + r, height - 1);
            rows[r] = in + row * row_nbytes;
            to[r] = out + row * out_row_nbytes;
            if (row * row_nbytes + readable <= image_nbytes) continue;
            std::uint8_t* copy = padded.get() + r * readable;
            std::memcpy(copy, rows[r], std::min(row_nbytes, readable));
            rows[r] = copy;
        }
        kernels.across(taps, rows, channels, to);
    }
}

void resize_down(const TapsView& taps, const std::uint8_t* in, std::int64_t row_values, std::uint8_t* out, Isa isa) {
    if (isa == Isa::reference) return reference::resize_down(taps, in, row_values, out);
    const ResizeKernels& kernels = STRIATE_KERNELS_OF(isa, resize_kernels);
    for (std::int64_t y = 0; y < taps.out; ++y) kernels.down(taps, y, in, row_values, out + y * row_values);
}

// Which pass goes first decides the last bit, because bytes are rounded in between. Pillow goes along the width first,
// unless the height loses more than twice the pixels that the width loses: fewer rows are then left to go along. (Up to
// version 12 it always went along the width first. Found by comparing, see tests/native/test_resize.py.)
bool down_goes_first(std::int64_t height, std::int64_t width, std::int64_t out_height, std::int64_t out_width) {
    return out_height < height && height - out_height > 2 * (width - out_width);
}

}  // namespace

void resize(const std::uint8_t* in, std::int64_t height, std::int64_t width, std::int64_t channels, std::uint8_t* out,
            std::int64_t out_height, std::int64_t out_width, Filter filter, Isa isa) {
    const bool across_changes = width != out_width, down_changes = height != out_height;
    if (!across_changes && !down_changes) {
        std::memcpy(out, in, height * width * channels);
    } else if (!down_changes) {
        resize_across(taps_of(filter, width, out_width).view(), in, height, channels, out, isa);
    } else if (!across_changes) {
        resize_down(taps_of(filter, height, out_height).view(), in, width * channels, out, isa);
    } else {
        const Taps across = taps_of(filter, width, out_width), down = taps_of(filter, height, out_height);
        const bool down_first = down_goes_first(height, width, out_height, out_width);
        const std::int64_t nbytes = (down_first ? out_height * width : height * out_width) * channels;
        const auto between = std::make_unique_for_overwrite<std::uint8_t[]>(nbytes);
        if (down_first) {
            resize_down(down.view(), in, width * channels, between.get(), isa);
            resize_across(across.view(), between.get(), out_height, channels, out, isa);
        } else {
            resize_across(across.view(), in, height, channels, between.get(), isa);
            resize_down(down.view(), between.get(), out_width * channels, out, isa);
        }
    }
}

}  // namespace striate
