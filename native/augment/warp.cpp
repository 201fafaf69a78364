#include "augment/warp.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "augment/kernels.h"
#include "augment/map.h"
#include "dispatch/kernels.h"
#include "memory/arena.h"
#include "ref/warp.h"
#include "threads/pool.h"

namespace striate {

namespace {

constexpr std::int64_t stripe_rows = 32;           // of one image: rows apart share what lies between two stripes
constexpr std::int64_t thread_pixels = 16 * 1024;  // per thread: some 0.1 ms, several times a wake-up

const WarpKernels& kernels_of(Isa isa, bool by_lines) {
#if defined(STRIATE_X86_KERNELS)
    static const bool has_vbmi = has_features({"avx512vbmi"});
    if (isa == Isa::avx512 && by_lines && has_vbmi) return avx512_vbmi::warp_kernels;
#endif
    static_cast<void>(by_lines);
    return STRIATE_KERNELS_OF(isa, warp_kernels);
}

Scene scene_of(const Warp& call, const Image* images, std::int64_t b) {
    Scene s{};
    s.pixels = images[b].pixels, s.height = images[b].height, s.width = images[b].width;
    s.channels = call.channels;
    s.matrix = call.geometry + 9 * b;
    s.divides = s.matrix[6] != 0.0 || s.matrix[7] != 0.0 || s.matrix[8] != 1.0;
    if (call.lens != nullptr) s.k1 = call.lens[2 * b], s.k2 = call.lens[2 * b + 1];
    s.bends = s.k1 != 0.0 || s.k2 != 0.0;
    s.sampler = call.sampler, s.border = call.border;
    s.coloured = call.colour != nullptr;
    for (std::int64_t c = 0; c < call.channels; ++c) {
        if (s.coloured) {
            const float* row = call.colour + (b * call.channels + c) * (call.channels + 1);
            std::copy(row, row + call.channels, s.colour[c]);
            s.colour[c][3] = row[call.channels];
        }
        s.fill[c] = call.fill[c], s.scale[c] = call.scale[c], s.shift[c] = call.shift[c];
    }
    s.out_height = call.height, s.out_width = call.width;
    s.planar = call.layout == PixelLayout::planar;
    s.value = call.value;
    const std::int64_t value_nbytes = call.value == Value::float32 ? 4 : call.value == Value::bfloat16 ? 2 : 1;
    s.out = static_cast<std::uint8_t*>(call.out) + b * call.image_values() * value_nbytes;
    return s;
}

// What the runs of a row have, and room to find it out.
struct Runs {
    std::vector<RunReach> reach;
    std::vector<float> across, down;

    explicit Runs(std::int64_t width)
        : reach(static_cast<std::size_t>((width + run_pixels - 1) / run_pixels)),
          across(reach.size() + stretches_room),
          down(reach.size() + stretches_room) {}
};

// The runs of row y, which are all alike where the map is affine.
void find_runs(const Warp& call, const Scene& s, const WarpKernels& kernels, std::int64_t y, bool all_alike,
               Runs& runs) {
    const auto width = static_cast<double>(s.out_width), row = static_cast<double>(y) + 0.5;
    const std::int64_t count = all_alike ? 1 : static_cast<std::int64_t>(runs.reach.size());
    if (!all_alike && kernels.stretches != nullptr) {
        kernels.stretches(s, y, count, runs.across.data(), runs.down.data());
    } else {
        for (std::int64_t i = 0; i < count; ++i) {
            const double begin = all_alike ? 0.0 : static_cast<double>(i * run_pixels);
            const double end = all_alike ? width : std::min(begin + run_pixels, width);
            const Stretch stretch = call.antialias ? stretch_at(s, 0.5 * (begin + end), row) : Stretch{1.0, 1.0};
            runs.across[static_cast<std::size_t>(i)] = static_cast<float>(stretch.across);
            runs.down[static_cast<std::size_t>(i)] = static_cast<float>(stretch.down);
        }
    }
    kernels.reaches(s, runs.across.data(), runs.down.data(), count, runs.reach.data());
    if (all_alike) std::fill(runs.reach.begin() + 1, runs.reach.end(), runs.reach[0]);
}

bool is_affine(const Scene& s) { return !s.bends && s.matrix[6] == 0.0 && s.matrix[7] == 0.0; }

bool keeps_axes_apart(const Scene& s) { return is_affine(s) && s.matrix[1] == 0.0 && s.matrix[3] == 0.0; }

// Rows [first, last) of one image.
void warp_rows(const Warp& call, const Scene& s, const WarpKernels& kernels, std::int64_t first, std::int64_t last,
               Runs& runs, float* workspace) {
    const bool all_alike = is_affine(s) || !call.antialias;
    for (std::int64_t y = first; y < last; ++y) {
        if (y == first || !all_alike) find_runs(call, s, kernels, y, all_alike, runs);
        const auto fit = [&](const RunReach& reach) { return fits_vectors(s, reach); };
        if (kernels.row == nullptr || !std::all_of(runs.reach.begin(), runs.reach.end(), fit)) {
            kernels.plain_row(s, y, runs.reach.data(), workspace);
        } else if (keeps_axes_apart(s)) {
            return kernels.rows_apart(s, y, last, runs.reach[0], reinterpret_cast<std::uint8_t*>(workspace));
        } else {
            kernels.row(s, y, runs.reach.data());
        }
    }
}

// Floats of workspace that some stripe needs.
std::int64_t workspace_floats(const Warp& call, const Image* images, const WarpKernels& kernels, Runs runs) {
    std::int64_t most = 0;
    for (std::int64_t b = 0; b < call.size; ++b) {
        const Scene s = scene_of(call, images, b);
        most = std::max(most, s.width + s.height);
        if (kernels.row == nullptr || !keeps_axes_apart(s)) continue;
        find_runs(call, s, kernels, 0, true, runs);
        if (fits_vectors(s, runs.reach[0])) most = std::max(most, kernels.apart_nbytes(s, runs.reach[0]) / 4 + 1);
    }
    return (most + 15) / 16 * 16;
}

}  // namespace

bool fits_vectors(const Scene& s, const RunReach& reach) {
    return reach.across.taps <= most_taps && reach.down.taps <= most_taps && 2 * reach.across.pairs <= s.width &&
           s.height <= INT32_MAX / (s.width * s.channels);
}

void warp(const Warp& call, const Image* images, Isa isa, int threads) {
    if (call.size * call.image_values() == 0) return;
    if (isa == Isa::reference) return reference::warp(call, images);
    const WarpKernels& kernels = kernels_of(isa, call.by_lines);
    const std::int64_t stripes = (call.height + stripe_rows - 1) / stripe_rows;
    const std::int64_t worth = 1 + call.size * call.height * call.width / thread_pixels;
    threads = static_cast<int>(std::min<std::int64_t>({threads, worth, call.size * stripes}));
    // Whole images while there are several for each thread, so that tables and rows between stripes are made once.
    const std::int64_t parts = call.size >= 4 * threads || threads == 1 ? 1 : stripes;
    const std::int64_t part_rows = parts == 1 ? call.height : stripe_rows;

    // As many members as threads, each with a workspace of its own; a thread that comes late finds no work left.
    const Runs runs(call.width);
    const std::int64_t each = workspace_floats(call, images, kernels, runs);
    const Floats64 workspaces = aligned_floats(each * threads);
    std::vector<Runs> member_runs(static_cast<std::size_t>(threads), runs);
    std::atomic<std::int64_t> next{0};
    parallel_for(threads, 1, threads, [&](std::int64_t member, std::int64_t end) {
        for (; member < end; ++member) {
            for (std::int64_t item = next++; item < call.size * parts; item = next++) {
                const std::int64_t first = item % parts * part_rows;
                warp_rows(call, scene_of(call, images, item / parts), kernels, first,
                          std::min(first + part_rows, call.height), member_runs[static_cast<std::size_t>(member)],
                          workspaces.get() + member * each);
            }
        }
    });
}

}  // namespace striate
