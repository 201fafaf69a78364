#include "ref/convert.h"

namespace striate::reference {

void convert(const Batch& batch, const Image* images, const Window* windows) {
    const std::int64_t channels = batch.channels, height = batch.height, width = batch.width;
    for (std::int64_t b = 0; b < batch.size; ++b) {
        const Image& image = images[b];
        const Window& window = windows[b];
        float* out = batch.out + b * batch.image_values();
        for (std::int64_t y = 0; y < height; ++y) {
            for (std::int64_t x = 0; x < width; ++x) {
                const std::int64_t row = window.top + y;
                const std::int64_t column = window.left + (window.flip != 0 ? width - 1 - x : x);
                const bool inside = 0 <= row && row < image.height && 0 <= column && column < image.width;
                for (std::int64_t c = 0; c < channels; ++c) {
                    const std::uint8_t pixel =
                        inside ? image.pixels[(row * image.width + column) * channels + c] : batch.fill[c];
                    const float scaled = static_cast<float>(pixel) * batch.scale[c];
                    const std::int64_t at =
                        batch.layout == PixelLayout::planar ? (c * height + y) * width + x : (y * width + x) * channels + c;
                    out[at] = scaled + batch.shift[c];
                }
            }
        }
    }
}

}  // namespace striate::reference
