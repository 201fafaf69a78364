// Weighted sums of pixels in fixed point, compiled once per instruction set.
//
//     out = clip((sum of pixel * weight + 2^21) >> 22)
//
// The vector loops multiply 16-bit halves of the weights in pairs of taps and put the two sums together at the end
// (resize/filter.h says why that is exact). Sums of 32 bits wrap alike whatever their order.
#include "resize/kernels.h"

#include <cstring>

#include "simd/vector.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr std::int32_t half_pixel = 1 << (weight_bits - 1);

inline std::uint8_t pixel_of(std::int32_t sum) {
    const std::int32_t rounded = (sum + half_pixel) >> weight_bits;
    return static_cast<std::uint8_t>(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

// The plain way, for a number of channels known to the compiler, which keeps their sums in registers.
template <std::int64_t channels>
void across_plain(const TapsView& taps, const std::uint8_t* row, std::uint8_t* out) {
    for (std::int64_t x = 0; x < taps.out; ++x, out += channels) {
        const std::uint8_t* from = row + taps.first[x] * channels;
        const std::int32_t* weight = taps.weight + x * taps.stride;
        std::int32_t sums[channels] = {};
        for (std::int32_t k = 0; k < taps.count[x]; ++k, from += channels) {
            for (std::int64_t c = 0; c < channels; ++c) sums[c] += from[c] * weight[k];
        }
        for (std::int64_t c = 0; c < channels; ++c) out[c] = pixel_of(sums[c]);
    }
}

// The plain way, for any number.
void across_any(const TapsView& taps, const std::uint8_t* row, std::int64_t channels, std::uint8_t* out) {
    for (std::int64_t x = 0; x < taps.out; ++x) {
        const std::uint8_t* from = row + taps.first[x] * channels;
        const std::int32_t* weight = taps.weight + x * taps.stride;
        for (std::int64_t c = 0; c < channels; ++c) {
            std::int32_t sum = 0;
            for (std::int32_t k = 0; k < taps.count[x]; ++k) sum += from[k * channels + c] * weight[k];
            out[x * channels + c] = pixel_of(sum);
        }
    }
}

// Values [begin, end) of row y, a stretch at a time, so that the sums stay in the L1 cache and tap follows tap.
void down_any(const TapsView& taps, std::int64_t y, const std::uint8_t* in, std::int64_t values, std::int64_t begin,
              std::int64_t end, std::uint8_t* out) {
    constexpr std::int64_t stretch = 256;
    std::int32_t sums[stretch];
    for (; begin < end; begin += stretch) {
        const std::int64_t length = end - begin < stretch ? end - begin : stretch;
        for (std::int64_t i = 0; i < length; ++i) sums[i] = 0;
        for (std::int32_t k = 0; k < taps.count[y]; ++k) {
            const std::uint8_t* row = in + (taps.first[y] + k) * values + begin;
            const std::int32_t weight = taps.weight[y * taps.stride + k];
            for (std::int64_t i = 0; i < length; ++i) sums[i] += row[i] * weight;
        }
        for (std::int64_t i = 0; i < length; ++i) out[begin + i] = pixel_of(sums[i]);
    }
}

#if defined(STRIATE_VECTORS)

// Four taps' halves, as they lie in memory: 4 times 16 bits in each 8 bytes.
inline __m256i four_halves(const std::int16_t* from) {
    std::int64_t bits;
    std::memcpy(&bits, from, sizeof(bits));
    return _mm256_set1_epi64x(bits);
}

// Four sums of 32 bits for each of four rows, to bytes: row r in bytes 4 r … 4 r + 3.
inline Bytes16 pixels_of(const __m128i sums[rows_at_once]) {
    __m128i rounded[rows_at_once];
    for (int r = 0; r < rows_at_once; ++r) {
        rounded[r] = _mm_srai_epi32(_mm_add_epi32(sums[r], _mm_set1_epi32(half_pixel)), weight_bits);
    }
    return _mm_packus_epi16(_mm_packs_epi32(rounded[0], rounded[1]), _mm_packs_epi32(rounded[2], rounded[3]));
}

// RGB: a group of four pixels in one register as (r0 r1)(g0 g1)(b0 b1)(0 0) and (r2 r3)(g2 g3)(b2 b3)(0 0), 16 bits
// each, so that one multiplication of pairs serves two taps of three channels, twice.
[[gnu::always_inline]] inline Bytes16 rgb_pixels(const TapsView& taps, std::int64_t x,
                                                 const std::uint8_t* const rows[]) {
    constexpr char z = -128;                                                                // a shuffle writes 0
    const __m256i pairs = _mm256_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z,  //
                                           6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z);
    const __m256i first_or_second = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);  // lane 0: taps 0, 1; lane 1: taps 2, 3
    __m256i high[rows_at_once], low[rows_at_once];
    for (int r = 0; r < rows_at_once; ++r) high[r] = low[r] = _mm256_setzero_si256();
    const std::int16_t* halves = taps.halves + x * taps.groups * 2 * group;
    std::int64_t at = 3 * std::int64_t{taps.first[x]};
    for (std::int64_t g = 0; g < taps.groups; ++g, halves += 2 * group, at += 3 * group) {
        const auto spread = [&](const std::int16_t* four) {
            return _mm256_castps_si256(_mm256_permutevar_ps(_mm256_castsi256_ps(four_halves(four)), first_or_second));
        };
        const __m256i high_weights = spread(halves), low_weights = spread(halves + group);
        for (int r = 0; r < rows_at_once; ++r) {
            const __m256i pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_bytes(rows[r] + at)), pairs);
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pixels, high_weights));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pixels, low_weights));
        }
    }
    __m128i sums[rows_at_once];
    for (int r = 0; r < rows_at_once; ++r) {
        const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high[r], half_bits), low[r]);
        sums[r] = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    }
    return pixels_of(sums);
}

void across_rgb(const TapsView& taps, const std::uint8_t* const rows[], std::uint8_t* const out[]) {
    const auto store_rows = [&](Bytes16 pixels, std::int64_t x, std::size_t nbytes) {
        alignas(16) std::uint8_t bytes[16];
        _mm_store_si128(reinterpret_cast<__m128i*>(bytes), pixels);
        for (int r = 0; r < rows_at_once; ++r) std::memcpy(out[r] + 3 * x, bytes + 4 * r, nbytes);
    };
    std::int64_t x = 0;
    for (; x + 1 < taps.out; ++x) store_rows(rgb_pixels(taps, x, rows), x, 4);  // the next pixel mends the fourth byte
    store_rows(rgb_pixels(taps, x, rows), x, 3);
}

// Grey: four pixels of each of four rows in one register, 16 bits each.
void across_grey(const TapsView& taps, const std::uint8_t* const rows[], std::uint8_t* const out[]) {
    for (std::int64_t x = 0; x < taps.out; ++x) {
        __m256i high = _mm256_setzero_si256(), low = high;
        const std::int16_t* halves = taps.halves + x * taps.groups * 2 * group;
        for (std::int64_t g = 0; g < taps.groups; ++g, halves += 2 * group) {
            std::int32_t four[rows_at_once];
            for (int r = 0; r < rows_at_once; ++r) std::memcpy(&four[r], rows[r] + taps.first[x] + g * group, 4);
            const __m256i pixels = _mm256_cvtepu8_epi16(_mm_setr_epi32(four[0], four[1], four[2], four[3]));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, four_halves(halves)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, four_halves(halves + group)));
        }
        const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high, half_bits), low);  // two sums for each row
        const __m128i sums = _mm_hadd_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        const __m128i same[rows_at_once] = {sums, sums, sums, sums};
        const auto pixels = static_cast<std::uint32_t>(_mm_cvtsi128_si32(pixels_of(same)));
        for (int r = 0; r < rows_at_once; ++r) out[r][x] = static_cast<std::uint8_t>(pixels >> (8 * r));
    }
}

// A register of values: rows a and b of a pair of taps interleave to a0 b0 a1 b1 …, widen to 16 bits, and one
// multiplication of pairs serves both taps.
inline Wide down_wide(const TapsView& taps, std::int64_t y, const std::uint8_t* in, std::int64_t values) {
    constexpr int parts = 4;  // a register of bytes is four registers of 32-bit sums
    const Wide zero = all32(0);
    Wide high[parts] = {zero, zero, zero, zero}, low[parts] = {zero, zero, zero, zero};
    const std::int16_t* halves = taps.halves + y * taps.groups * 2 * group;
    const std::uint8_t* row = in + taps.first[y] * values;
    for (std::int32_t k = 0; k < taps.count[y]; k += 2, row += 2 * values) {
        const Wide a = load_wide(row);
        const Wide b = k + 1 < taps.count[y] ? load_wide(row + values) : a;  // without a second row its weight is 0
        const std::int16_t* pair = halves + (k / group) * 2 * group + k % group;
        std::int32_t high_pair, low_pair;
        std::memcpy(&high_pair, pair, 4);
        std::memcpy(&low_pair, pair + group, 4);
        const Wide ab[2] = {interleave_low(a, b), interleave_high(a, b)};
        for (int part = 0; part < parts; ++part) {
            const Wide pixels =
                part % 2 == 0 ? interleave_low(ab[part / 2], zero) : interleave_high(ab[part / 2], zero);
            high[part] = add32(high[part], multiply_pairs(pixels, all32(high_pair)));
            low[part] = add32(low[part], multiply_pairs(pixels, all32(low_pair)));
        }
    }
    Wide rounded[parts];
    for (int part = 0; part < parts; ++part) {
        const Wide sum = add32(shift_left32(high[part], half_bits), low[part]);
        rounded[part] = shift_right32(add32(sum, all32(half_pixel)), weight_bits);
    }
    return pack16(pack32(rounded[0], rounded[1]), pack32(rounded[2], rounded[3]));
}

void down(const TapsView& taps, std::int64_t y, const std::uint8_t* in, std::int64_t values, std::uint8_t* out) {
    constexpr std::int64_t block = sizeof(Wide);
    if (values < block) return down_any(taps, y, in, values, 0, values, out);
    std::int64_t i = 0;
    for (; i + block <= values; i += block) store(out + i, down_wide(taps, y, in + i, values));
    if (i < values) store(out + values - block, down_wide(taps, y, in + values - block, values));
}

#else

void across_rgb(const TapsView& taps, const std::uint8_t* const rows[], std::uint8_t* const out[]) {
    for (int r = 0; r < rows_at_once; ++r) across_plain<3>(taps, rows[r], out[r]);
}

void across_grey(const TapsView& taps, const std::uint8_t* const rows[], std::uint8_t* const out[]) {
    for (int r = 0; r < rows_at_once; ++r) across_plain<1>(taps, rows[r], out[r]);
}

void down(const TapsView& taps, std::int64_t y, const std::uint8_t* in, std::int64_t values, std::uint8_t* out) {
    down_any(taps, y, in, values, 0, values, out);
}

#endif

void across(const TapsView& taps, const std::uint8_t* const rows[], std::int64_t channels, std::uint8_t* const out[]) {
    if (channels == 3) return across_rgb(taps, rows, out);
    if (channels == 1) return across_grey(taps, rows, out);
    for (int r = 0; r < rows_at_once; ++r) across_any(taps, rows[r], channels, out[r]);
}

}  // namespace

const ResizeKernels resize_kernels = {across, down};

}  // namespace striate::STRIATE_ISA_NAMESPACE
