// Rows of warped images, compiled once per instruction set.
//
// Under any map, `lanes` output pixels at a time: their places and the weights of their taps along both axes
// (places.h), which are vectors over the pixels, the taps themselves (footprints.h), and what becomes of the sums
// (finish.h).
#include "augment/kernels.h"

#include "augment/apart.h"
#include "augment/finish.h"
#include "augment/footprints.h"
#include "augment/lines.h"
#include "augment/places.h"
#include "augment/plain.h"
#include "augment/reach.h"
#include "simd/bounds.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

#if defined(STRIATE_VECTORS)

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
inline void inner_block(const Scene& s, const NearPlaces& at, const RunReach& reach, bool by_lines, std::int64_t ahead,
                        Scratch& scratch, Floats (&plane)[3]) {
    constexpr float unit = 1.0f / (1 << across_bits);
    const NearFooting across = near_footing_of(at.x, reach.across), tall = near_footing_of(at.y, reach.down);
    const bool plain = !cubic && reach.across.pairs == 1 && reach.across.taps == 2 && reach.down.taps == 2 &&
                       reach.across.per_pixel == 1.0f && reach.down.per_pixel == 1.0f;
    Floats wide_sum = zeros(), tall_sum = zeros();
    if (plain) {
        weigh_two_across(across.distance, scratch.pairs);
    } else {
        wide_sum = weigh_across<cubic>(across.distance, reach.across, scratch.pairs);
    }
    if (!by_lines || !block_by_lines<cubic>(s, across.first, tall.first, at.y, reach, scratch.pairs,
                                            plain ? unit : 1.0f, tall_sum, plane)) {
        if (plain) {
            scratch.down[0] = multiply_add(tall.distance, all(unit), all(unit));
            scratch.down[1] = tall.distance * all(-unit);
        } else {
            tall_sum = weigh_down<cubic>(tall.distance, reach.down, scratch.down);
        }
        const Floats pixel = multiply_add(tall.first, all(static_cast<float>(s.width)), across.first);
        if (s.channels == 1) {
            plane[0] = grey_block(s, cut(pixel), reach, scratch.pairs, scratch.down);
        } else {
            store32(scratch.offsets, cut(pixel * all(3.0f)));
#pragma GCC unroll 4
            for (int i = 0; i < lanes; i += 4) __builtin_prefetch(s.pixels + scratch.offsets[i] + ahead);
            any_block(s, scratch.offsets, reach, scratch.pairs, scratch.down, plane);
        }
    }
    if (plain) return;  // weights that share one whole: the unit down has divided them
    const Floats normal = all(1.0f) / (wide_sum * tall_sum);
    for (std::int64_t c = 0; c < s.channels; ++c) plane[c] = plane[c] * normal;
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

// Inner blocks of a strip that see two taps along both axes, as most do of images that are hardly shrunk. All are aimed
// before any is summed, and in a loop without a branch, blocks of other kinds with them for nothing.
struct Aims {
    NearPlaces places[strip_blocks];
    bool two_by_two[strip_blocks];
    alignas(64) std::int32_t offsets[strip_blocks][lanes];
    Wide pairs[strip_blocks];
    Floats down[strip_blocks][2];
};

// Where the blocks' taps lie and what they weigh, and which are two by two; `runs` from the strip's first on.
inline void aim(const Scene& s, const RunReach* runs, std::int64_t blocks, Aims& aims) {
    constexpr float one = 1 << across_bits;
    const Floats width = all(static_cast<float>(s.width)), three = all(3.0f);
    for (std::int64_t b = 0; b < blocks; ++b) {
        const RunReach& reach = runs[b * lanes / run_pixels];
        const NearPlaces at = aims.places[b];
        const NearFooting across = near_footing_of(at.x, reach.across), tall = near_footing_of(at.y, reach.down);
        const Mask two =
            both(less(all(reach.across.two_from), across.distance), less(all(reach.down.two_from), tall.distance));
        aims.two_by_two[b] = every(both(inner(at, reach), two));

        // Of either pair of weights the second, and the first from their sum (augment/reach.h).
        const float step_x = reach.across.per_pixel * one, step_y = reach.down.per_pixel * reach.two_normal;
        const Wide right = rounded(minus_product(across.distance, all(step_x), all(one - step_x)));
        const Floats bottom = minus_product(tall.distance, all(step_y), all(reach.two_normal - step_y));
        aims.pairs[b] = pair16(subtract32(all32(reach.two_sum), right), right);
        aims.down[b][0] = all(2.0f * reach.two_normal - step_y) - bottom, aims.down[b][1] = bottom;
        store32(aims.offsets[b], cut(multiply_add(tall.first, width, across.first) * three));
    }
}

// The two by two, summed into the strip.
inline void sum_aimed(const Scene& s, const RunReach& reach, std::int64_t blocks, std::int64_t ahead, const Aims& aims,
                      Strip& strip) {
    for (std::int64_t b = 0; b < blocks; ++b) {
        if (!aims.two_by_two[b]) continue;
        const std::int32_t* const offsets = aims.offsets[b];
#pragma GCC unroll 4
        for (int i = 0; i < lanes; i += 4) __builtin_prefetch(s.pixels + offsets[i] + ahead);
        const Floats group[4] = {rgb_group<0, false, 2, 2>(s, offsets, reach, &aims.pairs[b], aims.down[b]),
                                 rgb_group<1, false, 2, 2>(s, offsets, reach, &aims.pairs[b], aims.down[b]),
                                 rgb_group<2, false, 2, 2>(s, offsets, reach, &aims.pairs[b], aims.down[b]),
                                 rgb_group<3, false, 2, 2>(s, offsets, reach, &aims.pairs[b], aims.down[b])};
        Floats plane[3];
        planes_of(group, plane);
        put_block(strip, b, 3, plane);
    }
}

constexpr std::int64_t strip_runs = strip_blocks * lanes / run_pixels;

// Whether some of the runs that `pixels` pixels have may hold such blocks.
inline bool some_two_by_two(const RunReach* runs, std::int64_t pixels) {
    bool some = false;
    for (std::int64_t r = 0; r * run_pixels < pixels; ++r) {
        some = some || (runs[r].across.two_from < 0.0f && runs[r].down.two_from < 0.0f);
    }
    return some;
}

// What a row's blocks become, strip by strip: two by two where they are, then the others one by one.
template <bool cubic>
void row_of(const Scene& s, std::int64_t y, const RunReach* runs) {
    Scratch scratch;
    Aims aims;
    Strip strip;
    const NearRow near_row(s, y);
    const bool may_be_inner = has_inner(s), by_lines = may_go_by_lines(s, runs[0]);
    const bool may_aim = !cubic && may_be_inner && !by_lines && s.channels == 3;
    const std::int64_t rows_ahead = ahead_of(s, runs[0].down.taps);
    for (std::int64_t begin = 0; begin < s.out_width; begin += strip_blocks * lanes, runs += strip_runs) {
        const std::int64_t pixels = smaller(strip_blocks * lanes, s.out_width - begin);
        const std::int64_t blocks = (pixels + lanes - 1) / lanes, whole_blocks = pixels / lanes;
        const Floats dx = iota() + all(static_cast<float>(begin) + 0.5f - 0.5f * static_cast<float>(s.out_width));
        near_places_of(near_row, dx, blocks, aims.places);
        const bool aimed = may_aim && some_two_by_two(runs, pixels);
        if (aimed) {
            aim(s, runs, whole_blocks, aims);
            sum_aimed(s, runs[0], whole_blocks, rows_ahead, aims, strip);
        }
        for (std::int64_t b = 0; b < blocks; ++b) {
            if (aimed && b < whole_blocks && aims.two_by_two[b]) continue;
            const RunReach& reach = runs[b * lanes / run_pixels];
            const NearPlaces at = aims.places[b];
            Floats plane[3];
            if (may_be_inner && b < whole_blocks && every(inner(at, reach))) {
                inner_block<cubic>(s, at, reach, by_lines, rows_ahead, scratch, plane);
                put_block(strip, b, s.channels, plane);
            } else {
                const Mask inside = outer_block<cubic>(s, y, begin + b * lanes, reach, scratch, plane);
                put_filled(s, strip, b, plane, inside);
            }
        }
        finish(s, strip, y, begin, pixels);
    }
}

void row(const Scene& s, std::int64_t y, const RunReach* runs) {
    if (s.sampler == Sampler::bicubic) return row_of<true>(s, y, runs);
    row_of<false>(s, y, runs);
}

#endif

}  // namespace

#if defined(STRIATE_VECTORS)
const WarpKernels warp_kernels = {row, stretches_of, set_reaches, plain_row, rows_apart, apart_nbytes};
#else
const WarpKernels warp_kernels = {nullptr, nullptr, set_reaches, plain_row, nullptr, nullptr};
#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE
