// Runs of pixels, compiled once per instruction set.
//
// Grey and RGB, the counts that images have, go 16 pixels at a time. A block of 16 RGB pixels is 48 bytes; planar or
// interleaved, mirrored or not, its 48 output bytes are some permutation of them, so the four cases are one loop with
// four tables (byte shuffles write 0 where they take nothing, so three of them, or-ed, gather 16 bytes out of 48).
// Then each byte becomes a float, is scaled, and shifted. The last block of a run overlaps the one before it.
#include "convert/kernels.h"

#include <cstring>

#include "simd/vector.h"

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
        for (std::int64_t x = 0; x < count; ++x) {
            to[x * pixel_step] = static_cast<float>(from[x * step]) * scale + shift;
        }
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

#if defined(STRIATE_VECTORS)

constexpr std::int64_t block = 16;  // pixels

// For byte i of the k-th 16 output bytes: where it stands in the j-th 16 input bytes, or 0x80 (a zero) if in another.
struct Permutation {
    alignas(16) std::uint8_t from[3][3][16];  // [k][j][i]
};

constexpr Permutation permutation(bool planar, bool mirrored) {
    Permutation table{};
    for (int k = 0; k < 3; ++k) {
        for (int i = 0; i < 16; ++i) {
            const int pixel = planar ? i : (16 * k + i) / 3, channel = planar ? k : (16 * k + i) % 3;
            const int source = 3 * (mirrored ? 15 - pixel : pixel) + channel;
            for (int j = 0; j < 3; ++j) {
                table.from[k][j][i] = static_cast<std::uint8_t>(source / 16 == j ? source % 16 : 0x80);
            }
        }
    }
    return table;
}

constexpr Permutation permutations[2][2] = {{permutation(false, false), permutation(false, true)},
                                            {permutation(true, false), permutation(true, true)}};

// One RGB block: to[k] receives the k-th 16 values.
inline void rgb_block(const Permutation& table, const Affine& affine, const std::uint8_t* pixels, float* const to[3]) {
    const Bytes16 in[3] = {load_bytes(pixels), load_bytes(pixels + 16), load_bytes(pixels + 32)};
    for (int k = 0; k < 3; ++k) {
        Bytes16 bytes = _mm_shuffle_epi8(in[0], load_bytes(table.from[k][0]));
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(in[1], load_bytes(table.from[k][1])));
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(in[2], load_bytes(table.from[k][2])));
        store(to[k], to_floats(bytes) * load_floats(affine.scale16[k]) + load_floats(affine.shift16[k]));
    }
}

void run_rgb(const Affine& affine, const std::uint8_t* pixels, std::int64_t count, bool mirrored, float* out) {
    const Permutation& table = permutations[affine.planar][mirrored];
    const std::int64_t third = affine.planar ? affine.plane : 16;  // values from to[k] to to[k + 1]
    const std::int64_t step = affine.planar ? 1 : 3;               // and from one pixel to the next
    if (count < block) {
        std::uint8_t padded[3 * block] = {};
        float values[3 * block];
        std::memcpy(padded + (mirrored ? 3 * (block - count) : 0), pixels, 3 * count);
        float* const to[3] = {values, values + 16, values + 32};
        rgb_block(table, affine, padded, to);
        if (affine.planar) {
            for (int k = 0; k < 3; ++k) std::memcpy(out + k * third, to[k], count * sizeof(float));
        } else {
            std::memcpy(out, values, 3 * count * sizeof(float));
        }
        return;
    }
    const auto convert = [&](std::int64_t x) {
        float* const first = out + x * step;
        float* const to[3] = {first, first + third, first + 2 * third};
        rgb_block(table, affine, pixels + 3 * (mirrored ? count - block - x : x), to);
    };
    std::int64_t x = 0;
    for (; x + block <= count; x += block) convert(x);
    if (x < count) convert(count - block);
}

inline void grey_block(const Affine& affine, const std::uint8_t* pixels, bool mirrored, float* to) {
    const Bytes16 reversed = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    Bytes16 bytes = load_bytes(pixels);
    if (mirrored) bytes = _mm_shuffle_epi8(bytes, reversed);
    store(to, to_floats(bytes) * load_floats(affine.scale16[0]) + load_floats(affine.shift16[0]));
}

void run_grey(const Affine& affine, const std::uint8_t* pixels, std::int64_t count, bool mirrored, float* out) {
    if (count < block) {
        std::uint8_t padded[block] = {};
        float values[block];
        std::memcpy(padded + (mirrored ? block - count : 0), pixels, count);
        grey_block(affine, padded, mirrored, values);
        std::memcpy(out, values, count * sizeof(float));
        return;
    }
    const auto convert = [&](std::int64_t x) {
        grey_block(affine, pixels + (mirrored ? count - block - x : x), mirrored, out + x);
    };
    std::int64_t x = 0;
    for (; x + block <= count; x += block) convert(x);
    if (x < count) convert(count - block);
}

void run(const Affine& affine, const std::uint8_t* pixels, std::int64_t count, bool mirrored, float* out) {
    if (affine.channels == 3) return run_rgb(affine, pixels, count, mirrored, out);
    if (affine.channels == 1) return run_grey(affine, pixels, count, mirrored, out);
    run_any(affine, pixels, count, mirrored, out);
}

#else

constexpr auto run = run_any;

#endif

}  // namespace

const ConvertKernels convert_kernels = {run, fill};

}  // namespace striate::STRIATE_ISA_NAMESPACE
