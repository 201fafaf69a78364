// Rows of warped images, compiled once per instruction set.
//
// Any map: `lanes` output pixels at a time. Their places, then the weights of their taps along both axes, are vectors
// over the pixels. Then the taps: RGB in four groups (augment/lanes.h), each holding 16 bytes, of which 12 are four
// neighbouring taps of one row, for each of its pixels; two shuffles make 16-bit pairs (r0 r1)(g0 g1)(b0 b1) and
// (r2 r3)(g2 g3)(b2 b3), two multiplications of pairs weigh them across, and the float of their sum is weighed down.
// Grey: four taps are the four bytes of a gathered lane.
//
// A map that keeps the axes apart: rows of the source across, each once, into a ring of float rows; then sums of those.
//
// Reading 16 bytes for 12 may run over the image's end: blocks whose footprints come near it take 12.
#include "augment/kernels.h"

#include <cstring>

#include "augment/finish.h"
#include "augment/lanes.h"
#include "augment/places.h"
#include "augment/plain.h"
#include "simd/bounds.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

#if defined(STRIATE_VECTORS)

constexpr std::int64_t four_nbytes = 12;  // of RGB pixels

// The 16 bytes from `from` on, or as many as hold `taps` pixels.
template <bool near_end, int taps>
inline Bytes16 some_pixels(const std::uint8_t* from) {
    if constexpr (!near_end) return load_bytes(from);
    std::uint8_t bytes[16] = {};
    std::memcpy(bytes, from, 3 * taps);
    return load_bytes(bytes);
}

inline Bytes16 first_pairs() {
    constexpr char z = -128;  // a shuffle writes 0
    return _mm_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z);
}
inline Bytes16 second_pairs() {
    constexpr char z = -128;
    return _mm_setr_epi8(6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z);
}

// Two or four taps of each of a group's pixels, weighed and summed: red, green, blue of each in 32 bits.
template <bool near_end, int taps>
inline Wide weighed(const std::uint8_t* const (&from)[quarters], std::int64_t at, Wide first, Wide second) {
    Bytes16 quarter[quarters];
#pragma GCC unroll 4
    for (int k = 0; k < quarters; ++k) quarter[k] = some_pixels<near_end, taps>(from[k] + at);
    const Wide pixels = four_quarters(quarter);
    const Wide sum = multiply_pairs(shuffled(pixels, first_pairs()), first);
    if constexpr (taps == 2) return sum;
    return add32(sum, multiply_pairs(shuffled(pixels, second_pairs()), second));
}

template <int Q>
inline void group_starts(const std::uint8_t* base, const std::int32_t* offsets, const std::uint8_t* (&from)[quarters]) {
#pragma GCC unroll 4
    for (int k = 0; k < quarters; ++k) from[k] = base + offsets[4 * k + Q];
}

// The footprints of group Q: `pairs` across, two taps or four or more, and `rows` down, or reach.down.taps if that is
// 0.
template <int Q, bool near_end, int taps, int rows>
inline Floats rgb_group(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                        const Floats* down) {
    const std::uint8_t* from[quarters];
    group_starts<Q>(s.pixels, offsets, from);
    const std::int64_t row_nbytes = 3 * s.width, row_count = rows > 0 ? rows : reach.down.taps;
    const Wide first = spread<Q>(pairs[0]), second = spread<Q>(pairs[taps == 2 ? 0 : 1]);
    Floats sum = zeros();
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < row_count; ++r) {
        Wide across = weighed<near_end, taps>(from, r * row_nbytes, first, second);
        if constexpr (rows == 0 && taps == 4) {
            for (std::int64_t p = 2; p < reach.across.pairs; p += 2) {
                across = add32(across, weighed<near_end, 4>(from, r * row_nbytes + p / 2 * four_nbytes,
                                                            spread<Q>(pairs[p]), spread<Q>(pairs[p + 1])));
            }
        }
        sum = multiply_add(floats_of(across), spread<Q>(down[r]), sum);
    }
    return sum;
}

template <bool near_end, int taps, int rows>
void rgb_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
               const Floats* down, Floats (&plane)[3]) {
    const Floats group[4] = {rgb_group<0, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<1, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<2, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<3, near_end, taps, rows>(s, offsets, reach, pairs, down)};
    planes_of(group, plane);
}

// The loops that most footprints take are unrolled: two or four taps across, two to four rows.
template <int taps>
inline void small_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                        const Floats* down, Floats (&plane)[3]) {
    switch (reach.down.taps) {
        case 2: return rgb_block<false, taps, 2>(s, offsets, reach, pairs, down, plane);
        case 3: return rgb_block<false, taps, 3>(s, offsets, reach, pairs, down, plane);
        case 4: return rgb_block<false, taps, 4>(s, offsets, reach, pairs, down, plane);
        default: return rgb_block<false, taps, 0>(s, offsets, reach, pairs, down, plane);
    }
}

inline void any_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                      const Floats* down, Floats (&plane)[3]) {
    if (reach.across.pairs == 1) return small_block<2>(s, offsets, reach, pairs, down, plane);
    if (reach.across.pairs == 2) return small_block<4>(s, offsets, reach, pairs, down, plane);
    rgb_block<false, 4, 0>(s, offsets, reach, pairs, down, plane);
}

inline void block_near_end(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                           const Floats* down, Floats (&plane)[3]) {
    if (reach.across.pairs == 1) return rgb_block<true, 2, 0>(s, offsets, reach, pairs, down, plane);
    rgb_block<true, 4, 0>(s, offsets, reach, pairs, down, plane);
}

// Four taps of each grey pixel, weighed and summed.
inline Wide grey_taps(const std::uint8_t* from, Wide offsets, Wide first, Wide second) {
    constexpr char z = -128;
    const Bytes16 first_two = _mm_setr_epi8(0, z, 1, z, 4, z, 5, z, 8, z, 9, z, 12, z, 13, z);
    const Bytes16 second_two = _mm_setr_epi8(2, z, 3, z, 6, z, 7, z, 10, z, 11, z, 14, z, 15, z);
    const Wide pixels = gathered(from, offsets);
    return add32(multiply_pairs(shuffled(pixels, first_two), first),
                 multiply_pairs(shuffled(pixels, second_two), second));
}

inline Floats grey_block(const Scene& s, Wide offsets, const RunReach& reach, const Wide* pairs, const Floats* down) {
    Floats sum = zeros();
    for (std::int64_t r = 0; r < reach.down.taps; ++r) {
        Wide across = all32(0);
        for (std::int64_t p = 0; p < reach.across.pairs; p += 2) {
            across = add32(across, grey_taps(s.pixels + r * s.width + 2 * p, offsets, pairs[p], pairs[p + 1]));
        }
        sum = multiply_add(floats_of(across), down[r], sum);
    }
    return sum;
}

// What a row needs at hand. The gaps keep the parts from lying a multiple of 4 KiB apart, where a processor takes a
// load from one for a load of what it has just stored in another.
struct alignas(64) Scratch {
    std::int32_t offsets[lanes];
    Wide gap[3];
    Wide pairs[most_taps / 2];
    Wide second_gap[5];
    Floats down[most_taps];
};

// An inner block: all windows lie in the source, with two pixels to spare at the right, and their offsets from the
// first pixel are whole floats.
template <bool cubic>
inline void inner_block(const Scene& s, const NearPlaces& at, const RunReach& reach, std::int64_t ahead,
                        Scratch& scratch, Floats (&plane)[3]) {
    const NearFooting across = near_footing_of(at.x, reach.across), tall = near_footing_of(at.y, reach.down);
    const Floats wide_sum = weigh_across<cubic>(across.distance, reach.across, scratch.pairs);
    const Floats tall_sum = weigh_down<cubic>(tall.distance, reach.down, scratch.down);
    const Floats normal = all(1.0f) / (wide_sum * tall_sum);
    const Floats pixel = multiply_add(tall.first, all(static_cast<float>(s.width)), across.first);
    if (s.channels == 1) {
        plane[0] = grey_block(s, cut(pixel), reach, scratch.pairs, scratch.down) * normal;
        return;
    }
    store32(scratch.offsets, cut(pixel * all(3.0f)));
#pragma GCC unroll 4
    for (int i = 0; i < lanes; i += 4) __builtin_prefetch(s.pixels + scratch.offsets[i] + ahead);
    any_block(s, scratch.offsets, reach, scratch.pairs, scratch.down, plane);
    for (Floats& p : plane) p = p * normal;
}

// A block anywhere; returns which pixels come from inside the source.
template <bool cubic>
Mask outer_block(const Scene& s, std::int64_t y, std::int64_t column, const RunReach& reach, Scratch& scratch,
                 Floats (&plane)[3]) {
    const Places at = places_of(s, y, column);
    const Mask inside = s.border == Border::constant ? both(within(at.x, static_cast<double>(s.width)),
                                                            within(at.y, static_cast<double>(s.height)))
                                                     : every_lane();
    plane[0] = plane[1] = plane[2] = zeros();
    if (none(inside)) return inside;
    const Footing across = footing_of(s, at.x, s.width, 2 * reach.across.pairs, reach.across);
    const Footing tall = footing_of(s, at.y, s.height, reach.down.taps, reach.down);
    const Floats wide_sum = weigh_across<cubic>(across.distance, reach.across, scratch.pairs);
    const Floats tall_sum = weigh_down<cubic>(tall.distance, reach.down, scratch.down);
    const Floats normal = all(1.0f) / (wide_sum * tall_sum);
    const Wide pixel = add32(multiply32(tall.first, all32(static_cast<std::int32_t>(s.width))), across.first);
    if (s.channels == 1) {
        plane[0] = grey_block(s, pixel, reach, scratch.pairs, scratch.down) * normal;
        return inside;
    }
    const Wide start = add32(pixel, add32(pixel, pixel));
    store32(scratch.offsets, start);
    // From the last start that may read 16 bytes for its last taps on, blocks read what they need and no more.
    const std::int64_t fours = larger(reach.across.pairs / 2, 1);
    const std::int64_t last = 3 * s.width * (s.height - reach.down.taps + 1) - four_nbytes * (fours - 1) - 16;
    if (any_above(start, static_cast<std::int32_t>(last))) {
        block_near_end(s, scratch.offsets, reach, scratch.pairs, scratch.down, plane);
    } else {
        any_block(s, scratch.offsets, reach, scratch.pairs, scratch.down, plane);
    }
    for (Floats& p : plane) p = p * normal;
    return inside;
}

// Inner blocks are for images in which a float tells a pixel's offset, and its place to a thousandth; nearest is too
// particular about the side on which a place falls.
inline bool has_inner(const Scene& s) {
    return s.sampler != Sampler::nearest && s.width <= 4096 && s.height <= 4096 &&
           s.width * s.height * s.channels < (1 << 24);
}

// From a pixel's first tap to what the pixel two rows below will be the first to read: a rotated image is read along
// lines that no processor foresees. Nobody minds where a prefetch points.
inline std::int64_t ahead_of(const Scene& s, std::int64_t rows) {
    const auto whole = [&](double v) { return static_cast<std::int64_t>(bounded(2.0 * v / s.matrix[8], -1e6, 1e6)); };
    const std::int64_t down = whole(s.matrix[4]);
    return ((down + (down > 0 ? rows - 1 : 0)) * s.width + whole(s.matrix[1])) * s.channels;
}

template <bool cubic>
void row_of(const Scene& s, std::int64_t y, const RunReach* runs) {
    Scratch scratch;
    const NearRow near_row(s, y);
    const bool inner = has_inner(s);
    const std::int64_t rows_ahead = ahead_of(s, runs[0].down.taps);
    const float middle = 0.5f * static_cast<float>(s.out_width);
    for (std::int64_t column = 0; column < s.out_width; column += lanes) {
        const std::int64_t count = smaller(lanes, s.out_width - column);
        const RunReach& reach = runs[column / run_pixels];
        const Floats dx = iota() + all(static_cast<float>(column) + 0.5f - middle);
        const NearPlaces at = near_places_of(near_row, dx);
        Floats plane[3];
        if (inner && count == lanes &&
            all_between(at.x, Inner(reach.across, s.width, larger(2 * reach.across.pairs, 4) + 2)) &&
            all_between(at.y, Inner(reach.down, s.height, reach.down.taps))) {
            inner_block<cubic>(s, at, reach, rows_ahead, scratch, plane);
            finish(s, plane, every_lane(), y, column, count);
        } else {
            const Mask inside = outer_block<cubic>(s, y, column, reach, scratch, plane);
            finish(s, plane, inside, y, column, count);
        }
    }
}

void row(const Scene& s, std::int64_t y, const RunReach* runs) {
    if (s.sampler == Sampler::bicubic) return row_of<true>(s, y, runs);
    row_of<false>(s, y, runs);
}

// The workspace of a map that keeps the axes apart.
//
// Across, everything is the same in all rows: offsets, weights (spread to their groups), sums, and which columns come
// from inside. Then the ring: `rows` rows of the source, weighed across, as groups of floats.
struct Apart {
    struct Column {
        Floats sum;
        Mask inside;
    };
    std::int64_t blocks, groups, each, rows;  // `each`: pairs of a group
    Wide* pairs;                              // [blocks, groups, each]
    Floats* ring;                             // [rows, blocks, groups]
    Column* column;                           // [blocks]
    std::int32_t* offsets;                    // [blocks, lanes]: bytes
    std::int64_t nbytes;

    Apart(const Scene& s, const RunReach& reach, std::uint8_t* workspace)
        : blocks((s.out_width + lanes - 1) / lanes),
          groups(s.channels == 1 ? 1 : 4),
          each(reach.across.pairs),
          rows(reach.down.taps) {
        const std::int64_t pairs_nbytes = blocks * groups * each * sizeof(Wide);
        const std::int64_t ring_nbytes = rows * blocks * groups * sizeof(Floats);
        const std::int64_t column_nbytes = blocks * sizeof(Column);
        pairs = reinterpret_cast<Wide*>(workspace);
        ring = reinterpret_cast<Floats*>(workspace + pairs_nbytes);
        column = reinterpret_cast<Column*>(workspace + pairs_nbytes + ring_nbytes);
        offsets = reinterpret_cast<std::int32_t*>(workspace + pairs_nbytes + ring_nbytes + column_nbytes);
        nbytes = pairs_nbytes + ring_nbytes + column_nbytes + blocks * sizeof(Wide);
    }
};

template <bool cubic>
void prepare_columns(const Scene& s, const Reach& reach, const Apart& apart) {
    Wide pairs[most_taps / 2];
    const std::int64_t each = apart.each;
    for (std::int64_t b = 0; b < apart.blocks; ++b) {
        const Doubles at = places_of(s, 0, b * lanes).x;
        const Mask inside = s.border == Border::constant ? within(at, static_cast<double>(s.width)) : every_lane();
        const Footing footing = footing_of(s, at, s.width, 2 * apart.each, reach);
        const Wide first = footing.first;
        apart.column[b] = {weigh_across<cubic>(footing.distance, reach, pairs), inside};
        store32(apart.offsets + b * lanes, s.channels == 1 ? first : add32(first, add32(first, first)));
        Wide* to = apart.pairs + b * apart.groups * each;
        for (std::int64_t p = 0; p < each; ++p) {
            if (s.channels == 1) {
                to[p] = pairs[p];
            } else {
                to[p] = spread<0>(pairs[p]), to[each + p] = spread<1>(pairs[p]);
                to[2 * each + p] = spread<2>(pairs[p]), to[3 * each + p] = spread<3>(pairs[p]);
            }
        }
    }
}

template <int Q, bool near_end, int taps>
inline Floats across_group(const std::uint8_t* row, const std::int32_t* offsets, const Wide* pairs, std::int64_t each) {
    const std::uint8_t* from[quarters];
    group_starts<Q>(row, offsets, from);
    Wide sum = weighed<near_end, taps>(from, 0, pairs[0], pairs[taps == 2 ? 0 : 1]);
    for (std::int64_t p = 2; p < each; p += 2) {
        sum = add32(sum, weighed<near_end, taps>(from, p / 2 * four_nbytes, pairs[p], pairs[p + 1]));
    }
    return floats_of(sum);
}

// Row `y` of the source, weighed across.
template <bool near_end, int taps>
void across_rgb(const Scene& s, const Apart& apart, std::int64_t y, Floats* to) {
    const std::uint8_t* row = s.pixels + 3 * y * s.width;
    const std::int64_t each = taps == 2 ? 1 : apart.each;
    for (std::int64_t b = 0; b < apart.blocks; ++b, to += 4) {
        const std::int32_t* offsets = apart.offsets + b * lanes;
        const Wide* pairs = apart.pairs + b * 4 * each;
        to[0] = across_group<0, near_end, taps>(row, offsets, pairs, each);
        to[1] = across_group<1, near_end, taps>(row, offsets, pairs + each, each);
        to[2] = across_group<2, near_end, taps>(row, offsets, pairs + 2 * each, each);
        to[3] = across_group<3, near_end, taps>(row, offsets, pairs + 3 * each, each);
    }
}

void across_grey(const Scene& s, const Apart& apart, std::int64_t y, Floats* to) {
    for (std::int64_t b = 0; b < apart.blocks; ++b) {
        const Wide offsets = load_wide(reinterpret_cast<const std::uint8_t*>(apart.offsets + b * lanes));
        const Wide* pairs = apart.pairs + b * apart.each;
        Wide sum = all32(0);
        for (std::int64_t p = 0; p < apart.each; p += 2) {
            sum = add32(sum, grey_taps(s.pixels + y * s.width + 2 * p, offsets, pairs[p], pairs[p + 1]));
        }
        to[b] = floats_of(sum);
    }
}

void across(const Scene& s, const Apart& apart, std::int64_t y, Floats* to) {
    const bool last = y == s.height - 1;
    if (s.channels == 1) return across_grey(s, apart, y, to);
    if (apart.each == 1) return last ? across_rgb<true, 2>(s, apart, y, to) : across_rgb<false, 2>(s, apart, y, to);
    last ? across_rgb<true, 4>(s, apart, y, to) : across_rgb<false, 4>(s, apart, y, to);
}

template <bool cubic>
void rows_apart_of(const Scene& s, std::int64_t first, std::int64_t last, const RunReach& reach,
                   std::uint8_t* workspace) {
    const Apart apart(s, reach, workspace);
    prepare_columns<cubic>(s, reach.across, apart);
    const std::int64_t row_groups = apart.blocks * apart.groups;
    Floats down[most_taps];
    std::int64_t held[most_taps];  // which row of the source each row of the ring is
    const Floats* taps[most_taps];
    for (std::int64_t r = 0; r < apart.rows; ++r) held[r] = -1;
    for (std::int64_t y = first; y < last; ++y) {
        const Doubles at = places_of(s, y, 0).y;  // the same in all lanes
        const Mask row_inside = s.border == Border::constant ? within(at, static_cast<double>(s.height)) : every_lane();
        const Footing footing = footing_of(s, at, s.height, apart.rows, reach.down);
        const Floats down_sum = weigh_down<cubic>(footing.distance, reach.down, down);
        alignas(64) std::int32_t top[lanes];
        store32(top, footing.first);
        for (std::int64_t r = 0; r < apart.rows && !none(row_inside); ++r) {
            const std::int64_t source = top[0] + r, slot = source % apart.rows;
            Floats* const to = apart.ring + slot * row_groups;
            taps[r] = to;
            if (held[slot] == source) continue;
            held[slot] = source;
            across(s, apart, source, to);
        }
        for (std::int64_t b = 0; b < apart.blocks; ++b) {
            const Mask inside = both(row_inside, apart.column[b].inside);
            const std::int64_t column = b * lanes, count = smaller(lanes, s.out_width - column);
            Floats plane[3] = {zeros(), zeros(), zeros()};
            if (!none(inside)) {
                const Floats normal = all(1.0f) / (apart.column[b].sum * down_sum);
                if (s.channels == 1) {
                    for (std::int64_t r = 0; r < apart.rows; ++r)
                        plane[0] = multiply_add(taps[r][b], down[r], plane[0]);
                } else {
                    Floats group[4] = {zeros(), zeros(), zeros(), zeros()};
                    for (std::int64_t r = 0; r < apart.rows; ++r) {
                        const Floats* from = taps[r] + 4 * b;
                        for (int q = 0; q < 4; ++q) group[q] = multiply_add(from[q], down[r], group[q]);
                    }
                    planes_of(group, plane);
                }
                for (Floats& p : plane) p = p * normal;
            }
            finish(s, plane, inside, y, column, count);
        }
    }
}

void rows_apart(const Scene& s, std::int64_t first, std::int64_t last, const RunReach& reach, std::uint8_t* workspace) {
    if (s.sampler == Sampler::bicubic) return rows_apart_of<true>(s, first, last, reach, workspace);
    rows_apart_of<false>(s, first, last, reach, workspace);
}

std::int64_t apart_nbytes(const Scene& s, const RunReach& reach) { return Apart(s, reach, nullptr).nbytes; }

#endif

}  // namespace

#if defined(STRIATE_VECTORS)
const WarpKernels warp_kernels = {row, stretches_of, plain_row, rows_apart, apart_nbytes};
#else
const WarpKernels warp_kernels = {nullptr, nullptr, plain_row, nullptr, nullptr};
#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE
