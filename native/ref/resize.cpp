#include "ref/resize.h"

namespace striate::reference {

namespace {

// A weighted sum of pixels, rounded and clipped to a pixel. The shift of a negative sum rounds down.
std::uint8_t pixel_of(std::int32_t sum) {
    const std::int32_t rounded = (sum + (1 << (weight_bits - 1))) >> weight_bits;
    return static_cast<std::uint8_t>(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

}  // namespace

void resize_across(const TapsView& across, const std::uint8_t* in, std::int64_t height, std::int64_t channels,
                   std::uint8_t* out) {
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < across.out; ++x) {
            for (std::int64_t c = 0; c < channels; ++c) {
                std::int32_t sum = 0;
                for (std::int32_t k = 0; k < across.count[x]; ++k) {
                    sum +=
                        in[(y * across.in + across.first[x] + k) * channels + c] * across.weight[x * across.stride + k];
                }
                out[(y * across.out + x) * channels + c] = pixel_of(sum);
            }
        }
    }
}

void resize_down(const TapsView& down, const std::uint8_t* in, std::int64_t row_values, std::uint8_t* out) {
    for (std::int64_t y = 0; y < down.out; ++y) {
        for (std::int64_t i = 0; i < row_values; ++i) {
            std::int32_t sum = 0;
            for (std::int32_t k = 0; k < down.count[y]; ++k) {
                sum += in[(down.first[y] + k) * row_values + i] * down.weight[y * down.stride + k];
            }
            out[y * row_values + i] = pixel_of(sum);
        }
    }
}

}  // namespace striate::reference
