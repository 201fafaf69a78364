// From filtered bytes to the output: fill, colour, clip, scale, shift, and the output's type and layout.
#pragma once

#include <cstring>

#include "augment/kernels.h"
#include "augment/lanes.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

// The upper halves of floats, rounded to the nearest, the even one of two.
inline Wide bfloat16_of(Floats x) {
    const Wide bits = bits_of(x);
    const Wide odd = bit_and(shift_right32(bits, 16), all32(1));
    return shift_right_unsigned32(add32(bits, add32(odd, all32(0x7fff))), 16);
}

template <typename T>
inline void store_values(T* to, Floats x) {
    if constexpr (sizeof(T) == 4) {
        store(to, x);
    } else if constexpr (sizeof(T) == 2) {
        store_words(to, bfloat16_of(x));
    } else {
        store_bytes(to, cut(x + all(0.5f)));
    }
}

// Byte i of the k-th 16 bytes of red green blue red …: where it stands in its plane, or a zero where it is another's.
struct Mixing {
    alignas(16) std::uint8_t from[3][3][16];  // [k][plane][i]
};

constexpr Mixing mixing_table() {
    Mixing table{};
    for (int k = 0; k < 3; ++k) {
        for (int i = 0; i < 16; ++i) {
            const int at = 16 * k + i;
            for (int c = 0; c < 3; ++c) {
                table.from[k][c][i] = static_cast<std::uint8_t>(at % 3 == c ? at / 3 : 0x80);
            }
        }
    }
    return table;
}

constexpr Mixing mixing = mixing_table();

#if defined(__AVX512VBMI__)

// The three lower bytes of each 32 bits, side by side.
struct alignas(64) Closing {
    std::uint8_t from[64];
};
constexpr Closing closing_table() {
    Closing table{};
    for (int i = 0; i < 3 * lanes; ++i) table.from[i] = static_cast<std::uint8_t>(i / 3 * 4 + i % 3);
    return table;
}
constexpr Closing closing = closing_table();

inline void store_mixed(std::uint8_t* to, const Floats (&plane)[3]) {
    const Wide red = cut(plane[0] + all(0.5f)), green = _mm512_slli_epi32(cut(plane[1] + all(0.5f)), 8),
               blue = _mm512_slli_epi32(cut(plane[2] + all(0.5f)), 16);
    const Wide pixels = _mm512_or_si512(_mm512_or_si512(red, green), blue);
    _mm512_mask_storeu_epi8(to, (1ull << 3 * lanes) - 1, _mm512_permutexvar_epi8(load_wide(closing.from), pixels));
}

#else

// Planes to `lanes` pixels, channel by channel. All three of 16 pixels fill three stores; eight pixels' last is a half.
inline void store_mixed(std::uint8_t* to, const Floats (&plane)[3]) {
    const Bytes16 red = bytes_of(cut(plane[0] + all(0.5f))), green = bytes_of(cut(plane[1] + all(0.5f))),
                  blue = bytes_of(cut(plane[2] + all(0.5f)));
    const auto mixed = [&](int k) {
        const Bytes16 two = _mm_or_si128(_mm_shuffle_epi8(red, load_bytes(mixing.from[k][0])),
                                         _mm_shuffle_epi8(green, load_bytes(mixing.from[k][1])));
        return _mm_or_si128(two, _mm_shuffle_epi8(blue, load_bytes(mixing.from[k][2])));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), mixed(0));
    if constexpr (lanes == 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16), mixed(1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32), mixed(2));
    } else {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), mixed(1));
    }
}

#endif

inline void store_mixed(std::uint16_t* to, const Floats (&plane)[3]) {
    std::uint16_t values[3][lanes];
    for (int c = 0; c < 3; ++c) store_values(values[c], plane[c]);
    for (int i = 0; i < lanes; ++i) {
        for (int c = 0; c < 3; ++c) to[3 * i + c] = values[c][i];
    }
}

inline void store_mixed(float* to, const Floats (&plane)[3]) {
    const Floats low = unpacked_low(plane[0], plane[1]), high = unpacked_high(plane[0], plane[1]);
    const Floats blue_low = unpacked_low(plane[2], plane[2]), blue_high = unpacked_high(plane[2], plane[2]);
    const Floats pixel[4] = {shuffled<0x44>(low, blue_low), shuffled<0xee>(low, blue_low),  // [q]: 4 k + q in quarter k
                             shuffled<0x44>(high, blue_high), shuffled<0xee>(high, blue_high)};
    store_quarters(to, pixel);
}

// Up to so many blocks of a row are filtered, then finished together: what a scene asks of its pixels is asked once.
constexpr std::int64_t strip_blocks = 32;

struct Strip {
    Floats plane[3][strip_blocks];
};

inline void put_block(Strip& strip, std::int64_t b, std::int64_t channels, const Floats (&plane)[3]) {
    for (std::int64_t c = 0; c < channels; ++c) strip.plane[c][b] = plane[c];
}

// Pixels that are not inside take the fill.
inline void put_filled(const Scene& s, Strip& strip, std::int64_t b, Floats (&plane)[3], Mask inside) {
    if (!every(inside)) {
        for (std::int64_t c = 0; c < s.channels; ++c) plane[c] = choose(inside, plane[c], all(s.fill[c]));
    }
    put_block(strip, b, s.channels, plane);
}

// Block b: coloured, clipped, scaled, shifted.
template <int channels>
inline void finished(const Scene& s, const Strip& strip, std::int64_t b, bool clips, Floats (&plane)[3]) {
    for (int c = 0; c < channels; ++c) plane[c] = strip.plane[c][b];
    if (s.coloured) {
        Floats mixed[channels];
        for (int c = 0; c < channels; ++c) {
            mixed[c] = all(s.colour[c][3]);
            for (int k = 0; k < channels; ++k) mixed[c] = multiply_add(plane[k], all(s.colour[c][k]), mixed[c]);
        }
        for (int c = 0; c < channels; ++c) plane[c] = mixed[c];
    }
    if (!clips) return;
    for (int c = 0; c < channels; ++c) {
        const Floats clipped = least(most(plane[c], zeros()), all(255.0f));
        plane[c] = multiply_add(clipped, all(s.scale[c]), all(s.shift[c]));
    }
}

// `planes`: which the output has, side by side, or one of pixels with all their channels.
template <typename T, int channels, int planes>
void finish_as(const Scene& s, const Strip& strip, std::int64_t y, std::int64_t column, std::int64_t count) {
    constexpr int each = channels / planes;  // values of a pixel in a plane
    // A mean of bytes is a byte, but for its rounding.
    const bool clips = s.coloured || s.sampler == Sampler::bicubic || s.value != Value::uint8;
    const std::int64_t step = s.out_height * s.out_width;
    T* to = static_cast<T*>(s.out) + each * (y * s.out_width + column);
    const auto store_block = [&](const Floats(&plane)[3], T* at, std::int64_t next) {
        if constexpr (each == 3) {
            store_mixed(at, plane);
        } else {
            for (int c = 0; c < planes; ++c) store_values(at + c * next, plane[c]);
        }
    };
    Floats plane[3];
    std::int64_t b = 0;
    for (; (b + 1) * lanes <= count; ++b, to += each * lanes) {
        finished<channels>(s, strip, b, clips, plane);
        store_block(plane, to, step);
    }
    const std::int64_t rest = count - b * lanes;
    if (rest == 0) return;
    T values[channels * lanes];
    finished<channels>(s, strip, b, clips, plane);
    store_block(plane, values, lanes);
    for (int c = 0; c < planes; ++c) std::memcpy(to + c * step, values + c * lanes, each * rest * sizeof(T));
}

template <typename T>
void finish_of(const Scene& s, const Strip& strip, std::int64_t y, std::int64_t column, std::int64_t count) {
    if (s.channels == 1) return finish_as<T, 1, 1>(s, strip, y, column, count);
    if (s.planar) return finish_as<T, 3, 3>(s, strip, y, column, count);
    finish_as<T, 3, 1>(s, strip, y, column, count);
}

// `count` pixels of row y from `column` on, to the output.
inline void finish(const Scene& s, const Strip& strip, std::int64_t y, std::int64_t column, std::int64_t count) {
    if (s.value == Value::float32) return finish_of<float>(s, strip, y, column, count);
    if (s.value == Value::bfloat16) return finish_of<std::uint16_t>(s, strip, y, column, count);
    finish_of<std::uint8_t>(s, strip, y, column, count);
}

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
