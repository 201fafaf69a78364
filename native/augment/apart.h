// Maps that keep the axes apart: rows of the source are weighed across, each once, into a ring of float rows, and the
// ring's rows are summed down.
#pragma once

#include "augment/finish.h"
#include "augment/footprints.h"
#include "augment/places.h"
#include "simd/bounds.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

// The workspace of a map that keeps the axes apart.
//
// Across, everything is the same in all rows: offsets, weights (spread to their groups), what their sums divide by, and
// which columns come from inside. Then the ring: `rows` rows of the source, weighed across, as groups of floats.
struct Apart {
    struct Column {
        Floats normal;
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
        apart.column[b] = {all(1.0f) / weigh_across<cubic>(footing.distance, reach, pairs), inside};
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

// Row `y` of the source, weighed across; what lies `ahead` bytes from it is fetched, for no processor foresees the way
// from one short row to the next.
template <bool near_end, int taps>
void across_rgb(const Scene& s, const Apart& apart, std::int64_t y, std::int64_t ahead, Floats* to) {
    const std::uint8_t* row = s.pixels + 3 * y * s.width;
    const std::int64_t each = taps == 2 ? 1 : apart.each;
    for (std::int64_t b = 0; b < apart.blocks; ++b, to += 4) {
        const std::int32_t* offsets = apart.offsets + b * lanes;
        const Wide* pairs = apart.pairs + b * 4 * each;
        __builtin_prefetch(row + ahead + offsets[0]);
        __builtin_prefetch(row + ahead + offsets[lanes - 1]);
        to[0] = across_group<0, near_end, taps>(row, offsets, pairs, each);
        to[1] = across_group<1, near_end, taps>(row, offsets, pairs + each, each);
        to[2] = across_group<2, near_end, taps>(row, offsets, pairs + 2 * each, each);
        to[3] = across_group<3, near_end, taps>(row, offsets, pairs + 3 * each, each);
    }
}

inline void across_grey(const Scene& s, const Apart& apart, std::int64_t y, Floats* to) {
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

// `rows_ahead`: to what is fetched.
inline void across(const Scene& s, const Apart& apart, std::int64_t y, std::int64_t rows_ahead, Floats* to) {
    if (s.channels == 1) return across_grey(s, apart, y, to);
    // The last window's last 16 bytes: what they reach beyond the row lies in the image, unless little of it is left.
    const std::int64_t beyond = 16 - (apart.each == 1 ? 6 : four_nbytes), ahead = 3 * s.width * rows_ahead;
    const bool near_end = 3 * s.width * (s.height - 1 - y) < beyond;
    const auto rgb = apart.each == 1 ? (near_end ? across_rgb<true, 2> : across_rgb<false, 2>)
                                     : (near_end ? across_rgb<true, 4> : across_rgb<false, 4>);
    rgb(s, apart, y, ahead, to);
}

// Row y of the output from rows of the ring, `taps`, of which there are `rows` (0: as many as the ring has).
template <int channels, int rows>
void row_down(const Scene& s, const Apart& apart, const Floats* const* taps, const Floats* down, Mask row_inside,
              std::int64_t y) {
    constexpr int groups = channels == 1 ? 1 : 4;
    const std::int64_t row_count = rows > 0 ? rows : apart.rows;
    Strip strip;
    for (std::int64_t begin = 0; begin < apart.blocks; begin += strip_blocks) {
        const std::int64_t blocks = smaller(strip_blocks, apart.blocks - begin);
        for (std::int64_t i = 0; i < blocks; ++i) {
            const std::int64_t b = begin + i;
            Floats group[4];
            for (int q = 0; q < groups; ++q) group[q] = taps[0][groups * b + q] * down[0];
#pragma GCC unroll 4
            for (std::int64_t r = 1; r < row_count; ++r) {
                for (int q = 0; q < groups; ++q) group[q] = multiply_add(taps[r][groups * b + q], down[r], group[q]);
            }
            Floats plane[3] = {group[0], zeros(), zeros()};
            if constexpr (channels == 3) planes_of(group, plane);
            const Apart::Column& column = apart.column[b];
            for (int c = 0; c < channels; ++c) plane[c] = plane[c] * column.normal;
            put_filled(s, strip, i, plane, both(row_inside, column.inside));
        }
        finish(s, strip, y, begin * lanes, smaller(blocks * lanes, s.out_width - begin * lanes));
    }
}

inline void any_row_down(const Scene& s, const Apart& apart, const Floats* const* taps, const Floats* down,
                         Mask row_inside, std::int64_t y) {
    if (s.channels == 1) return row_down<1, 0>(s, apart, taps, down, row_inside, y);
    switch (apart.rows) {
        case 2: return row_down<3, 2>(s, apart, taps, down, row_inside, y);
        case 3: return row_down<3, 3>(s, apart, taps, down, row_inside, y);
        case 4: return row_down<3, 4>(s, apart, taps, down, row_inside, y);
        default: return row_down<3, 0>(s, apart, taps, down, row_inside, y);
    }
}

// Along the height, where output row y comes from: the same in all lanes.
inline Doubles height_of(const Scene& s, std::int64_t y) { return places_of(s, y, 0).y; }

inline std::int64_t first_lane(Wide x) {
    alignas(64) std::int32_t all_lanes[lanes];
    store32(all_lanes, x);
    return all_lanes[0];
}

constexpr std::int64_t fetched_ahead = 2;  // rows of the output: one is too late, and four gain nothing

template <bool cubic>
void rows_apart_of(const Scene& s, std::int64_t first, std::int64_t last, const RunReach& reach,
                   std::uint8_t* workspace) {
    const Apart apart(s, reach, workspace);
    prepare_columns<cubic>(s, reach.across, apart);
    const std::int64_t row_groups = apart.blocks * apart.groups;
    const auto footing = [&](Doubles at) { return footing_of(s, at, s.height, apart.rows, reach.down); };
    Floats down[most_taps];
    std::int64_t held[most_taps];  // which row of the source each row of the ring is
    const Floats* taps[most_taps];
    for (std::int64_t r = 0; r < apart.rows; ++r) held[r] = -1;
    for (std::int64_t y = first; y < last; ++y) {
        const Doubles at = height_of(s, y);
        const Mask inside = s.border == Border::constant ? within(at, static_cast<double>(s.height)) : every_lane();
        const Footing here = footing(at);
        const Floats normal = all(1.0f) / weigh_down<cubic>(here.distance, reach.down, down);
        const std::int64_t top = first_lane(here.first);
        const std::int64_t ahead = first_lane(footing(height_of(s, y + fetched_ahead)).first) - top;
        for (std::int64_t r = 0; r < apart.rows; ++r) {
            const std::int64_t source = top + r, slot = source % apart.rows;
            Floats* const to = apart.ring + slot * row_groups;
            taps[r] = to, down[r] = down[r] * normal;
            if (held[slot] == source || none(inside)) continue;
            held[slot] = source;
            across(s, apart, source, ahead, to);
        }
        any_row_down(s, apart, taps, down, inside, y);
    }
}

inline void rows_apart(const Scene& s, std::int64_t first, std::int64_t last, const RunReach& reach,
                       std::uint8_t* workspace) {
    if (s.sampler == Sampler::bicubic) return rows_apart_of<true>(s, first, last, reach, workspace);
    rows_apart_of<false>(s, first, last, reach, workspace);
}

inline std::int64_t apart_nbytes(const Scene& s, const RunReach& reach) { return Apart(s, reach, nullptr).nbytes; }

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
