// One direct convolution, in items of work: what a plan runs alone, or together with others of its kind.
//
// Two schedules. Where the weights of a group fit a second cache, a thread takes some rows of an image, copies what
// they see, and computes all maps of them (`own`). Where they do not, the copy of some images is shared, and each
// thread takes some pairs of blocks of output maps, so that every weight is read by one thread, once a chunk.
#pragma once

#include "conv/parts.h"
#include "direct/blocks.h"
#include "direct/kernels.h"

namespace striate {

class DirectConvolution {
public:
    // A shape may have no taps at all: its sums are zero.
    DirectConvolution(const ConvShape& shape, const ImageStrides& from, const Place& to, Isa isa, int threads);

    std::int64_t packed_floats() const { return shape_.groups * group_floats(); }
    std::int64_t workspace_floats() const;
    void pack(const Filters& filters, float* packed) const;

    std::int64_t phases() const;
    std::int64_t items(std::int64_t phase) const;
    void run(const ConvCall& call, std::int64_t phase, std::int64_t item, int member) const;

private:
    // Some rows of some images: one image's, or all rows of several.
    struct Chunk {
        std::int64_t group, image, images, row, rows;
    };

    std::int64_t group_floats() const { return shape_.group_in() * shape_.taps() * to_blocks_.blocks * kernels_.lanes; }
    std::int64_t in_rows(std::int64_t rows) const { return (rows - 1) * shape_.rows.stride + shape_.rows.extent(); }
    std::int64_t image_floats() const;
    std::int64_t buffer_floats() const { return from_blocks_.count() * images_ * image_floats(); }
    std::int64_t sums_floats() const;
    std::int64_t chunks() const { return quotient_up(shape_.batch, images_) * row_chunks_; }
    std::int64_t parts(const Chunk& chunk) const { return std::min(parts_, chunk.images * chunk.rows); }
    Chunk chunk(std::int64_t index) const;

    // A part of what a chunk's images see: some blocks, or some rows.
    struct Copy {
        std::int64_t image, block, blocks, row, rows;
    };
    std::int64_t copies(const Chunk& chunk) const;
    Copy copy(const Chunk& chunk, std::int64_t index) const;
    void copy_rows(const ConvCall& call, const Chunk& chunk, const Copy& copy, float* buffer) const;
    void compute(const ConvCall& call, const Chunk& chunk, std::int64_t pair, std::int64_t begin, std::int64_t end,
                 const float* buffer, float* sums) const;

    ConvShape shape_;
    ImageStrides from_;
    Place to_;
    int threads_;
    const DirectKernels& kernels_;
    InputBlocks from_blocks_;
    OutputPairs to_blocks_;
    std::vector<std::int64_t> from_begins_;  // of the blocks
    std::int64_t pixels_;                    // of a row of the buffer
    TapRuns runs_, rest_runs_;
    bool own_;
    std::int64_t images_ = 1, row_chunks_ = 1, chunk_rows_;  // of a chunk: images, chunks an image, rows at most
    std::int64_t parts_ = 1, part_rows_;  // that a chunk's rows are shared out in; rows of one at most
};

}  // namespace striate
