// Maps in blocks, taps in runs: how direct convolution counts what it reads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "conv/division.h"
#include "conv/layout.h"
#include "conv/shape.h"

namespace striate {

// Input maps of one group, in the buffer. Fewer maps than lanes lie as close as they can, so that no lane is wasted.
struct InputBlocks {
    std::int64_t block = 1;           // maps side by side in the buffer
    std::int64_t full = 0, rest = 0;  // whole blocks; maps in the last one, if it is not whole

    InputBlocks(std::int64_t maps, std::int64_t lanes)
        : block(std::min(maps, lanes)), full(maps / block), rest(maps % block) {}
    std::int64_t count() const { return full + (rest > 0 ? 1 : 0); }
    std::int64_t maps(std::int64_t index) const { return index < full ? block : rest; }

    // Where each block begins in images of these strides, seen from the group's first map, which begins a block of 16
    // where there are such.
    std::vector<std::int64_t> begins(const ImageStrides& strides) const {
        std::vector<std::int64_t> all;
        for (std::int64_t b = 0; b < count(); ++b) all.push_back(strides.of_map(b * block));
        return all;
    }
};

// Output maps of one group: blocks of `lanes`, in pairs; the last pair may be one block alone.
struct OutputPairs {
    std::int64_t blocks = 0;

    std::int64_t count() const { return quotient_up(blocks, 2); }
    int registers(std::int64_t pair) const { return 2 * pair + 2 <= blocks ? 2 : 1; }
    std::vector<std::int64_t> begins(const ImageStrides& strides, std::int64_t lanes) const {
        std::vector<std::int64_t> all;
        for (std::int64_t b = 0; b < blocks; ++b) all.push_back(strides.of_map(b * lanes));
        return all;
    }
};

// Where the runs of a filter's taps begin, seen from its first tap, and how long they are.
struct TapRuns {
    std::vector<std::int64_t> begins;
    std::int64_t length = 0;

    // `maps` of the block's maps, in rows of `row` floats. Whole blocks of undilated taps make one run a row.
    TapRuns(const ConvShape& s, std::int64_t block, std::int64_t maps, std::int64_t row) {
        const bool joined = maps == block && s.columns.dilation == 1;
        length = joined ? maps * s.columns.kernel : maps;
        for (std::int64_t i = 0; i < s.rows.kernel; ++i) {
            for (std::int64_t j = 0; j < (joined ? std::min<std::int64_t>(1, s.columns.kernel) : s.columns.kernel);
                 ++j) {
                begins.push_back(i * s.rows.dilation * row + j * s.columns.dilation * block);
            }
        }
    }
};

}  // namespace striate
