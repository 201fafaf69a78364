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

inline void across(const Scene& s, const Apart& apart, std::int64_t y, Floats* to) {
    if (s.channels == 1) return across_grey(s, apart, y, to);
    // The last window's last 16 bytes: what they reach beyond the row lies in the image, unless little of it is left.
    const std::int64_t beyond = 16 - (apart.each == 1 ? 6 : four_nbytes);
    const bool near_end = 3 * s.width * (s.height - 1 - y) < beyond;
    if (apart.each == 1) return near_end ? across_rgb<true, 2>(s, apart, y, to) : across_rgb<false, 2>(s, apart, y, to);
    near_end ? across_rgb<true, 4>(s, apart, y, to) : across_rgb<false, 4>(s, apart, y, to);
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

inline void rows_apart(const Scene& s, std::int64_t first, std::int64_t last, const RunReach& reach,
                       std::uint8_t* workspace) {
    if (s.sampler == Sampler::bicubic) return rows_apart_of<true>(s, first, last, reach, workspace);
    rows_apart_of<false>(s, first, last, reach, workspace);
}

inline std::int64_t apart_nbytes(const Scene& s, const RunReach& reach) { return Apart(s, reach, nullptr).nbytes; }

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
