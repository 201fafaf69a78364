#include "convert/kernels.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

// Any number of channels, the plain way.
void run_any(const Affine& affine, const std::uint8_t* pixels, std::int64_t count, bool mirrored, float* out) {
    const std::int64_t channels = affine.channels;
    const std::int64_t channel_step = affine.planar ? affine.plane : 1, pixel_step = affine.planar ? 1 : channels;
    for (std::int64_t c = 0; c < channels; ++c) {
        const float scale = affine.scale[c], shift = affine.shift[c];
        const std::uint8_t* from = pixels + (mirrored ? (count - 1) * channels : 0) + c;
        const std::int64_t step = mirrored ? -channels : channels;
        float* to = out + c * channel_step;
        for (std::int64_t x = 0; x < count; ++x) to[x * pixel_step] = static_cast<float>(from[x * step]) * scale + shift;
    }
}

void fill(const Affine& affine, std::int64_t count, float* out) {
    const std::int64_t channels = affine.channels;
    const std::int64_t channel_step = affine.planar ? affine.plane : 1, pixel_step = affine.planar ? 1 : channels;
    for (std::int64_t c = 0; c < channels; ++c) {
        const float value = static_cast<float>(affine.fill[c]) * affine.scale[c] + affine.shift[c];
        float* to = out + c * channel_step;
        for (std::int64_t x = 0; x < count; ++x) to[x * pixel_step] = value;
    }
}

}  // namespace

extern const ConvertKernels convert_kernels;
const ConvertKernels convert_kernels = {run_any, fill};

}  // namespace striate::STRIATE_ISA_NAMESPACE
