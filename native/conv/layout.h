// Where the pixels of a batch of images lie in memory.
//
//     nchw           x[n][map][row][pixel]                            PyTorch's default
//     channels_last  x[n][row][pixel][map]                            torch.channels_last
//     blocked        x[n][map / 16][row][pixel][map mod 16]           what kernels like best; a chain of them keeps it
//
// One set of strides covers all three: maps are counted in blocks of 16, and kernels of 4, 8 or 16 lanes take a block
// in parts. In a blocked array the lanes beyond the last map exist. Of images nothing reads them. Results get zeros
// there (plus a residual's), or NaN where infinity or NaN meets the weights of such a lane, which are zero.
#pragma once

#include <cstdint>

namespace striate {

enum class Layout { nchw, channels_last, blocked };

constexpr std::int64_t maps_per_block = 16;

// Pixel (y, x) of map c of image n is data[n · image + c / 16 · block + c mod 16 · map + y · row + x · pixel].
struct ImageStrides {
    std::int64_t image, block, map, row, pixel;

    [[gnu::always_inline]] constexpr std::int64_t of_map(std::int64_t c) const {
        return c / maps_per_block * block + c % maps_per_block * map;
    }
};

// Maps as they are stored: whole blocks, where there are blocks.
constexpr std::int64_t stored_maps(Layout layout, std::int64_t maps) {
    return layout == Layout::blocked ? (maps + maps_per_block - 1) / maps_per_block * maps_per_block : maps;
}

constexpr ImageStrides strides_of(Layout layout, std::int64_t maps, std::int64_t height, std::int64_t width) {
    const std::int64_t pixels = height * width, image = stored_maps(layout, maps) * pixels;
    switch (layout) {
        case Layout::nchw:
            return {.image = image, .block = maps_per_block * pixels, .map = pixels, .row = width, .pixel = 1};
        case Layout::channels_last:
            return {.image = image, .block = maps_per_block, .map = 1, .row = width * maps, .pixel = maps};
        case Layout::blocked: break;
    }
    return {.image = image,
            .block = maps_per_block * pixels,
            .map = 1,
            .row = width * maps_per_block,
            .pixel = maps_per_block};
}

}  // namespace striate
