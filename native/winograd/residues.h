// An axis of stride 2 as axes of stride 1: pixels of one residue, even or odd, meet every second tap.
//
//     forward        y is the sum, over residues, of convolutions of every second pixel with every second tap
//     backward       pixels of one residue of dx are a convolution of dy with every second tap
//
// With k taps, R = ⌈k / 2⌉ belong to one residue. Where k is odd the other has one less: a zero stands before or behind
// them, so that they are R. Then its filter has no component at the point 0, or at infinity, and F(m, R) takes
// m + R − 1 products for the one and m + R − 2 for the other, all at the same points: components of the one image serve
// all, and the sums of all make one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "conv/division.h"
#include "conv/parts.h"
#include "conv/plan.h"
#include "winograd/size.h"

namespace striate {

struct WinogradResidue {
    // Pixel i of the images that are read is theirs at in_first + i · in_step; the tile of output q begins at q + top.
    std::int64_t in_first, in_pixels, top;
    // Output q is the result's pixel at out_first + q · out_step.
    std::int64_t out_first, out_pixels;
    std::int64_t first_tap, taps;  // every tap_step-th of the forward pass
    bool zero_before;              // where one tap less than R is there, it is the first that lacks, or else the last

    // The tap of F(m, r) that is zero, and the component that its filters then do not have; or −1.
    int lacking_tap(const WinogradSize& size) const { return taps == size.r ? -1 : zero_before ? 0 : size.r - 1; }
    int lacking_component(const WinogradSize& size) const {
        return taps == size.r ? -1 : zero_before ? 0 : size.components() - 1;
    }
};

// One axis, of stride 1 or 2 and dilation 1.
struct WinogradAxisResidues {
    int count;  // the one with fewer taps comes last
    WinogradResidue each[2];
    std::int64_t in_step = 1, out_step = 1, tap_step = 1;
    std::int64_t taps;     // R
    std::int64_t outputs;  // of the residue that has most
    std::int64_t in_size, out_size;

    static WinogradAxisResidues forward(const Axis& axis) {
        const std::int64_t step = axis.stride;
        WinogradAxisResidues residues{.count = static_cast<int>(step),
                                      .each = {},
                                      .in_step = step,
                                      .tap_step = step,
                                      .taps = quotient_up(axis.kernel, step),
                                      .outputs = axis.out(),
                                      .in_size = axis.size,
                                      .out_size = axis.out()};
        for (std::int64_t tap = 0; tap < step; ++tap) {
            const std::int64_t from = tap - axis.low, first = ((from % step) + step) % step;
            residues.each[tap] = {.in_first = first,
                                  .in_pixels = quotient_up(axis.size - first, step),
                                  .top = (from - first) / step,
                                  .out_first = 0,
                                  .out_pixels = axis.out(),
                                  .first_tap = tap,
                                  .taps = quotient_up(axis.kernel - tap, step),
                                  .zero_before = false};
        }
        return residues;
    }

    // Of stride 2, and an odd number of taps: then the residue of fewer taps begins where the other does, or one later.
    static WinogradAxisResidues backward(const Axis& axis) {
        WinogradAxisResidues residues{.count = 2,
                                      .each = {},
                                      .out_step = 2,
                                      .tap_step = -2,
                                      .taps = quotient_up(axis.kernel, 2),
                                      .outputs = 0,
                                      .in_size = axis.out(),
                                      .out_size = axis.size};
        const std::int64_t most =
            axis.low % 2 == 0 ? 0 : 1;  // the pixels that the first tap meets, and so most taps do
        const std::int64_t low = AdjointPhase(axis, most).axis.low;
        for (const std::int64_t residue : {most, 1 - most}) {
            const AdjointPhase phase(axis, residue);
            const std::int64_t pixels = quotient_up(axis.size - residue, 2);
            residues.each[residue == most ? 0 : 1] = {.in_first = 0,
                                                      .in_pixels = axis.out(),
                                                      .top = -low,
                                                      .out_first = residue,
                                                      .out_pixels = pixels,
                                                      .first_tap = phase.first_tap,
                                                      .taps = phase.axis.kernel,
                                                      .zero_before = phase.axis.low < low};
            residues.outputs = std::max(residues.outputs, pixels);
        }
        return residues;
    }

    // Pixels of the images under outputs [begin, end).
    Range under(Range outputs) const {
        std::int64_t first = in_size, last = -1;
        for (const WinogradResidue& residue : std::span(each, count)) {
            first = std::min(first, residue.in_first + in_step * (outputs.begin + residue.top));
            last = std::max(last, residue.in_first + in_step * (outputs.end - 1 + taps - 1 + residue.top));
        }
        return {std::max<std::int64_t>(0, first), std::min(in_size, last + 1)};
    }
};

// Residues along both axes: one, or four.
struct WinogradResidues {
    WinogradAxisResidues rows, columns;
    bool backward;

    static WinogradResidues forward(const ConvShape& s) {
        return {WinogradAxisResidues::forward(s.rows), WinogradAxisResidues::forward(s.columns), false};
    }
    static WinogradResidues backward_data(const ConvShape& s) {
        return {WinogradAxisResidues::backward(s.rows), WinogradAxisResidues::backward(s.columns), true};
    }

    std::int64_t count() const { return rows.count * columns.count; }

    // In an order in which those that have a component are neighbours: with few taps down, with many both ways, with
    // few along, with few both ways.
    struct Pair {
        const WinogradResidue &down, &along;
    };
    Pair operator[](std::int64_t index) const {
        return {rows.each[count() > 1 && index % 3 == 0], columns.each[index / 2]};
    }

    // Those that have component k.
    Range with(std::int64_t k, const WinogradSize& row_size, const WinogradSize& column_size) const {
        if (count() == 1) return {0, 1};
        const std::int64_t i = k / column_size.components(), j = k % column_size.components();
        const bool many_down = i == rows.each[1].lacking_component(row_size),
                   many_along = j == columns.each[1].lacking_component(column_size);
        return {many_down ? 1 : 0, many_along ? 2 : many_down ? 3 : 4};
    }

    // The filters that one of them meets, of those of the forward pass.
    Filters filters(const Filters& f, const Pair& pair) const {
        return {.data = f.data + pair.down.first_tap * f.row + pair.along.first_tap * f.column,
                .group = f.group,
                .out = backward ? f.in : f.out,
                .in = backward ? f.out : f.in,
                .row = rows.tap_step * f.row,
                .column = columns.tap_step * f.column};
    }
};

}  // namespace striate
