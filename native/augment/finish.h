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

// `count` pixels of planes to the pixels from `at` on.
template <typename T>
inline void put(const Scene& s, const Floats (&plane)[3], std::int64_t at, std::int64_t count) {
    T* const out = static_cast<T*>(s.out);
    if (!s.planar && s.channels == 3) {
        if (count == lanes) return store_mixed(out + 3 * at, plane);
        T mixed[3 * lanes];
        store_mixed(mixed, plane);
        std::memcpy(out + 3 * at, mixed, 3 * count * sizeof(T));
        return;
    }
    const std::int64_t step = s.out_height * s.out_width;
    for (std::int64_t c = 0; c < s.channels; ++c) {
        if (count == lanes) {
            store_values(out + c * step + at, plane[c]);
        } else {
            T values[lanes];
            store_values(values, plane[c]);
            std::memcpy(out + c * step + at, values, count * sizeof(T));
        }
    }
}

// `count` pixels of row y from `column` on. Pixels that are not inside take the fill.
inline void finish(const Scene& s, Floats (&plane)[3], Mask inside, std::int64_t y, std::int64_t column,
                   std::int64_t count) {
    if (!every(inside)) {
        for (std::int64_t c = 0; c < s.channels; ++c) plane[c] = choose(inside, plane[c], all(s.fill[c]));
    }
    if (s.coloured && s.channels == 3) {
        const Floats red = plane[0], green = plane[1], blue = plane[2];
        for (int c = 0; c < 3; ++c) {
            const float* row = s.colour[c];
            const Floats first = multiply_add(red, all(row[0]), all(row[3]));
            plane[c] = multiply_add(blue, all(row[2]), multiply_add(green, all(row[1]), first));
        }
    } else if (s.coloured) {
        plane[0] = multiply_add(plane[0], all(s.colour[0][0]), all(s.colour[0][3]));
    }
    const bool clips = s.coloured || s.sampler == Sampler::bicubic;  // a mean of bytes is one, but for its rounding
    for (std::int64_t c = 0; c < s.channels && (clips || s.value != Value::uint8); ++c) {
        const Floats clipped = least(most(plane[c], zeros()), all(255.0f));
        plane[c] = multiply_add(clipped, all(s.scale[c]), all(s.shift[c]));
    }
    const std::int64_t at = y * s.out_width + column;
    if (s.value == Value::float32) return put<float>(s, plane, at, count);
    if (s.value == Value::bfloat16) return put<std::uint16_t>(s, plane, at, count);
    put<std::uint8_t>(s, plane, at, count);
}

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
