#include "convert/batch.h"

#include <algorithm>

#include "convert/kernels.h"
#include "dispatch/kernels.h"
#include "ref/convert.h"
#include "threads/pool.h"

namespace striate {

namespace {

constexpr std::int64_t range_nbytes = 128 * 1024;    // of output per range: far more work than handing it out
constexpr std::int64_t thread_nbytes = 4096 * 1024;  // of output per thread: some 0.2 ms, several times a wake-up

Affine affine_of(const Batch& batch) {
    Affine affine{};
    affine.channels = batch.channels;
    affine.scale = batch.scale;
    affine.shift = batch.shift;
    affine.fill = batch.fill;
    affine.planar = batch.layout == PixelLayout::planar;
    affine.plane = batch.height * batch.width;
    if (batch.channels != 1 && batch.channels != 3) return affine;  // other counts take the plain loops
    for (std::int64_t k = 0; k < 3; ++k) {
        for (std::int64_t lane = 0; lane < 16; ++lane) {
            const std::int64_t c = (affine.planar ? k : 16 * k + lane) % batch.channels;
            affine.scale16[k][lane] = batch.scale[c];
            affine.shift16[k][lane] = batch.shift[c];
        }
    }
    return affine;
}

// Rows [first, last) of the window of one image.
void convert_rows(const Batch& batch, const Affine& affine, const ConvertKernels& kernels, const Image& image,
                  const Window& window, float* out, std::int64_t first, std::int64_t last) {
    const std::int64_t width = batch.width;
    const std::int64_t pixel_step = affine.planar ? 1 : batch.channels;  // values of `out` from one pixel to the next
    const bool mirrored = window.flip != 0;

    // Columns [begin, end) of the window lie inside the image, as do rows [upper, lower).
    const std::int64_t from = mirrored ? window.left + width - image.width : -std::int64_t{window.left};
    const std::int64_t begin = std::clamp<std::int64_t>(from, 0, width);
    const std::int64_t end = std::clamp<std::int64_t>(from + image.width, begin, width);
    const std::int64_t source = mirrored ? window.left + width - end : window.left + begin;  // the leftmost one read
    const std::int64_t upper = std::clamp<std::int64_t>(-std::int64_t{window.top}, first, last);
    const std::int64_t lower = std::clamp<std::int64_t>(image.height - window.top, upper, last);

    const auto at = [&](std::int64_t y, std::int64_t x) { return out + (y * width + x) * pixel_step; };
    const auto pixels = [&](std::int64_t y) {
        return image.pixels + ((window.top + y) * image.width + source) * batch.channels;
    };

    if (begin == end || upper == lower) return kernels.fill(affine, (last - first) * width, at(first, 0));
    kernels.fill(affine, (upper - first) * width, at(first, 0));
    if (begin == 0 && end == width && width == image.width && !mirrored) {  // whole rows follow each other: one run
        kernels.run(affine, pixels(upper), (lower - upper) * width, false, at(upper, 0));
    } else {
        for (std::int64_t y = upper; y < lower; ++y) {
            if (begin > 0) kernels.fill(affine, begin, at(y, 0));
            kernels.run(affine, pixels(y), end - begin, mirrored, at(y, begin));
            if (end < width) kernels.fill(affine, width - end, at(y, end));
        }
    }
    kernels.fill(affine, (last - lower) * width, at(lower, 0));
}

}  // namespace

void convert(const Batch& batch, const Image* images, const Window* windows, Isa isa, int threads) {
    if (batch.size * batch.image_values() == 0) return;
    if (isa == Isa::reference) return reference::convert(batch, images, windows);
    const ConvertKernels& kernels = STRIATE_KERNELS_OF(isa, convert_kernels);
    const Affine affine = affine_of(batch);
    const std::int64_t row_nbytes = batch.row_values() * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t worth = 1 + batch.size * batch.height * row_nbytes / thread_nbytes;
    threads = static_cast<int>(std::min<std::int64_t>(threads, worth));
    parallel_for(batch.size * batch.height, range_nbytes / row_nbytes, threads,
                 [&](std::int64_t row, std::int64_t end) {
                     while (row < end) {  // a range may begin in the middle of one image and end in another
                         const std::int64_t b = row / batch.height, first = row % batch.height;
                         const std::int64_t last = std::min(batch.height, first + (end - row));
                         convert_rows(batch, affine, kernels, images[b], windows[b],
                                      batch.out + b * batch.image_values(), first, last);
                         row += last - first;
                     }
                 });
}

}  // namespace striate
