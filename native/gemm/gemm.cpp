// How a product is cut up and shared out: the part that knows caches, threads and shapes.
//
// An operand's panels are ready (packed before), shared (packed in a phase of its own, for all threads), or a thread's
// own (packed just before they are used, and still in its second cache then). Of a large product the longer operand is
// packed by its owners and the shorter one shared; a small one, with too few pieces of the longer to keep all threads
// busy, shares both and is cut both ways. A whole product is one run of the team:
//
//     for each chunk of columns, each span of the sum, each chunk of rows    as large as the shared panels may be
//       phase: shared panels of this chunk
//       phase: for each item (some rows × some columns), each block of the sum
//         for each panel of B, for each panel of A (both in the second cache): one tile, in registers
#include "gemm/gemm.h"

#include <algorithm>

#include "dispatch/kernels.h"
#include "gemm/blocks.h"
#include "gemm/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t shared_floats = 1 << 21;  // of one operand's shared panels: 8 MiB, of a third cache
constexpr std::int64_t longest_chunk = 4032;     // rows or columns; a multiple of every tile's sides: 14, 6, 32, 16, 8
constexpr std::int64_t item_values = 126 << 10;  // of either operand: half a megabyte of a second cache
constexpr std::int64_t item_rows = 252;          // of A, at most; a multiple of both tiles' rows, as 126 is
constexpr std::int64_t item_panels = 8;          // of B, at most
constexpr std::int64_t shared_panels = 4;        // of B, that a thread packs at a time
constexpr std::int64_t pack_rows = 16;           // of B, packed for all panels of an item before the rows after them
constexpr std::int64_t items_each = 4;           // per thread and phase, so that none waits long for the others
constexpr std::int64_t thread_macs = 1 << 18;    // per thread: some 10 µs, several times what waking it takes
constexpr std::int64_t largest_tile = 14 * 32;

enum class Panels { ready, shared, own };

// The part [begin, end) of `count` things that falls to item `item` of `items`.
struct Part {
    std::int64_t begin, end;
    constexpr Part(std::int64_t count, std::int64_t item, std::int64_t items)
        : begin(part_of(count, items, item)), end(part_of(count, items, item + 1)) {}
};

class Product {
public:
    Product(const Gemm& gemm, float* workspace, Isa isa, int threads)
        : g_(gemm),
          kernels_(STRIATE_KERNELS_OF(isa, gemm_kernels)),
          depth_(gemm.k),
          tiles_(quotient_up(gemm.m, kernels_.tile_rows)),
          panels_(quotient_up(gemm.n, kernels_.tile_columns)),
          threads_(static_cast<int>(std::min<std::int64_t>(threads, 1 + gemm.m * gemm.n * gemm.k / thread_macs))) {
        choose_panels();
        chunk_tiles_ = a_ == Panels::shared ? std::min(tiles_, longest_chunk / kernels_.tile_rows) : tiles_;
        chunk_panels_ = b_ == Panels::shared ? std::min(panels_, longest_chunk / kernels_.tile_columns) : panels_;
        span_ = depth_.count;
        if (a_ == Panels::shared) span_ = std::min(span_, span(chunk_tiles_ * kernels_.tile_rows));
        if (b_ == Panels::shared) span_ = std::min(span_, span(chunk_panels_ * kernels_.tile_columns));
        shared_a_ = workspace;
        shared_b_ = shared_a_ + (a_ == Panels::shared ? chunk_tiles_ * kernels_.tile_rows * span_ * depth_.length : 0);
        own_ = shared_b_ + (b_ == Panels::shared ? chunk_panels_ * kernels_.tile_columns * span_ * depth_.length : 0);
    }

    static std::int64_t workspace(std::int64_t m, std::int64_t n, std::int64_t k, Isa isa, int threads) {
        const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
        const DepthBlocks depth(k);
        const std::int64_t rows = std::min(rounded_up(m, kernels.tile_rows), longest_chunk);
        const std::int64_t columns = std::min(rounded_up(n, kernels.tile_columns), longest_chunk);
        const std::int64_t spans = std::max(std::min(depth.count, span(depth, rows)) * rows, std::int64_t{0}) +
                                   std::min(depth.count, span(depth, columns)) * columns;
        return depth.length * spans + threads * own_floats(depth, kernels);
    }

    void run() const {
        const std::int64_t row_chunks = quotient_up(tiles_, chunk_tiles_), spans = quotient_up(depth_.count, span_);
        const std::int64_t chunks = quotient_up(panels_, chunk_panels_) * spans * row_chunks;
        const auto chunk = [&](std::int64_t phase) {
            const std::int64_t step = phase / 2;
            return chunk_at(step % row_chunks, step / row_chunks % spans, step / row_chunks / spans);
        };
        parallel_phases(
            2 * chunks, threads_,
            [&](std::int64_t phase) {
                const Chunk c = chunk(phase);
                return phase % 2 == 0 ? a_items(c) + b_items(c) : c.row_items * c.column_items;
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const Chunk c = chunk(phase);
                if (phase % 2 == 0) {
                    share(c, item);
                } else {
                    multiply(c, item, member);
                }
            });
    }

    // One value of C, as the kernels write it.
    void put(std::int64_t i, std::int64_t j, float sum, bool accumulate, bool last) const {
        const std::int64_t at = row_offset(i) + column_offset(j);
        if (accumulate) sum = g_.c[at] + sum;
        if (last) {
            const GemmEpilogue& e = g_.epilogue;
            if (e.row_bias != nullptr) sum += e.row_bias[i];
            if (e.column_bias != nullptr) sum += e.column_bias[j];
            if (e.residual != nullptr) sum += e.residual[at];
            if (e.relu && sum < 0.0f) sum = 0.0f;
        }
        g_.c[at] = sum;
    }

private:
    // Tiles of rows, panels of columns and blocks of the sum that are worked on between two meetings of all threads.
    struct Chunk {
        std::int64_t tile, tiles, panel, panels, block, blocks;
        std::int64_t row_items, column_items;
    };

    static constexpr std::int64_t span(const DepthBlocks& depth, std::int64_t width) {
        return std::max<std::int64_t>(shared_floats / (width * depth.length), 1);
    }
    std::int64_t span(std::int64_t width) const { return span(depth_, width); }

    // Tiles of A, or panels of B, that an item has in its second cache at once.
    static std::int64_t tiles_at_once(const DepthBlocks& depth, const GemmKernels& kernels) {
        return std::min(item_rows, item_values / depth.length) / kernels.tile_rows;
    }
    static std::int64_t panels_at_once(const DepthBlocks& depth, const GemmKernels& kernels) {
        return std::min(item_panels, item_values / depth.length / kernels.tile_columns);
    }
    static std::int64_t own_floats(const DepthBlocks& depth, const GemmKernels& kernels) {
        return depth.length * std::max(tiles_at_once(depth, kernels) * kernels.tile_rows,
                                       panels_at_once(depth, kernels) * kernels.tile_columns);
    }

    void choose_panels() {
        const bool ready_a = g_.packed_a != nullptr, ready_b = g_.packed_b != nullptr;
        const std::int64_t enough = threads_ == 1 ? 1 : items_each * threads_;
        const bool by_columns = panels_ >= enough && !ready_b && (ready_a || g_.n >= g_.m);
        const bool by_rows = tiles_ >= enough && !ready_a && !by_columns;
        a_ = ready_a ? Panels::ready : by_rows ? Panels::own : Panels::shared;
        b_ = ready_b ? Panels::ready : by_columns ? Panels::own : Panels::shared;
    }

    Chunk chunk_at(std::int64_t row, std::int64_t span, std::int64_t column) const {
        Chunk c{};
        c.tile = row * chunk_tiles_, c.tiles = std::min(chunk_tiles_, tiles_ - c.tile);
        c.panel = column * chunk_panels_, c.panels = std::min(chunk_panels_, panels_ - c.panel);
        c.block = span * span_, c.blocks = std::min(span_, depth_.count - c.block);
        const std::int64_t wanted = threads_ == 1 ? 1 : items_each * threads_;
        c.row_items = b_ == Panels::own ? 1 : quotient_up(c.tiles, tiles_at_once(depth_, kernels_));
        c.column_items = a_ == Panels::own ? 1 : quotient_up(c.panels, panels_at_once(depth_, kernels_));
        if (a_ == Panels::own) {
            c.row_items = std::min(c.tiles, rounded_up(std::max(c.row_items, wanted), threads_));
        } else if (b_ == Panels::own) {
            c.column_items = std::min(c.panels, rounded_up(std::max(c.column_items, wanted), threads_));
        } else if (c.row_items * c.column_items < wanted) {
            c.column_items = std::min(c.panels, quotient_up(wanted, c.row_items));
            c.row_items = std::min(c.tiles, quotient_up(wanted, c.column_items));
        }
        return c;
    }

    std::int64_t a_items(const Chunk& c) const { return a_ == Panels::shared ? c.tiles : 0; }
    std::int64_t b_items(const Chunk& c) const {
        return b_ == Panels::shared && c.tile == 0 ? quotient_up(c.panels, shared_panels) : 0;
    }

    void share(const Chunk& c, std::int64_t item) const {
        const std::int64_t a_count = a_items(c);
        for (std::int64_t block = c.block; block < c.block + c.blocks; ++block) {
            if (item < a_count) {
                pack_a(block, c.tile + item, shared_a(c, block, item));
            } else {
                const std::int64_t first = (item - a_count) * shared_panels;
                pack_b(block, c.panel + first, std::min(shared_panels, c.panels - first), shared_b(c, block, first));
            }
        }
    }

    // The chunk's own panel `item`, counted from its first.
    float* shared_a(const Chunk& c, std::int64_t block, std::int64_t item) const {
        const std::int64_t before = depth_.begin(block) - depth_.begin(c.block);
        return shared_a_ + kernels_.tile_rows * (c.tiles * before + item * depth_.size(block));
    }
    float* shared_b(const Chunk& c, std::int64_t block, std::int64_t item) const {
        const std::int64_t before = depth_.begin(block) - depth_.begin(c.block);
        return shared_b_ + kernels_.tile_columns * (c.panels * before + item * depth_.size(block));
    }

    void pack_a(std::int64_t block, std::int64_t tile, float* panel) const {
        const std::int64_t first = tile * kernels_.tile_rows, rows = std::min(kernels_.tile_rows, g_.m - first);
        const std::int64_t k = depth_.begin(block), count = depth_.size(block);
        if (g_.a_panels.pack != nullptr) return g_.a_panels.pack(g_.a_panels.context, k, count, first, rows, panel);
        kernels_.pack_a(g_.a.data + first * g_.a.row + k * g_.a.column, g_.a.row, g_.a.column, rows, count, panel);
    }
    // `count` panels from number `first_panel` on. Neighbouring panels of a matrix share its rows, and with them pages.
    void pack_b(std::int64_t block, std::int64_t first_panel, std::int64_t count, float* panels) const {
        const std::int64_t begin = depth_.begin(block), size = depth_.size(block), width = kernels_.tile_columns;
        const bool source = g_.b_panels.pack != nullptr;
        const std::int64_t step = source || g_.b.column != 1 ? size : pack_rows;
        for (std::int64_t k = 0; k < size; k += step) {
            const std::int64_t rows = std::min(step, size - k);
            for (std::int64_t p = 0; p < count; ++p) {
                const std::int64_t first = (first_panel + p) * width, columns = std::min(width, g_.n - first);
                float* const panel = panels + width * (p * size + k);
                if (source) {
                    g_.b_panels.pack(g_.b_panels.context, begin, size, first, columns, panel);
                } else {
                    kernels_.pack_b(g_.b.data + (begin + k) * g_.b.row + first * g_.b.column, g_.b.row, g_.b.column,
                                    columns, rows, panel);
                }
            }
        }
    }

    void multiply(const Chunk& c, std::int64_t item, int member) const {
        const Part rows(c.tiles, item / c.column_items, c.row_items);
        const Part columns(c.panels, item % c.column_items, c.column_items);
        float* const own = own_ + member * own_floats(depth_, kernels_);
        const std::int64_t at_once = tiles_at_once(depth_, kernels_);
        for (std::int64_t block = c.block; block < c.block + c.blocks; ++block) {
            const std::int64_t a_size = kernels_.tile_rows * depth_.size(block);
            const std::int64_t b_size = kernels_.tile_columns * depth_.size(block);
            if (a_ == Panels::own) {
                for (std::int64_t t = rows.begin; t < rows.end; ++t) {
                    pack_a(block, c.tile + t, own + (t - rows.begin) * a_size);
                }
            }
            if (b_ == Panels::own) pack_b(block, c.panel + columns.begin, columns.end - columns.begin, own);
            for (std::int64_t top = rows.begin; top < rows.end; top += at_once) {
                const std::int64_t bottom = std::min(top + at_once, rows.end);
                for (std::int64_t p = columns.begin; p < columns.end; ++p) {
                    const float* b = b_ == Panels::own      ? own + (p - columns.begin) * b_size
                                     : b_ == Panels::shared ? shared_b(c, block, p)
                                                            : ready_b(block, c.panel + p);
                    for (std::int64_t t = top, count; t < bottom; t += count) {
                        const float* a = a_ == Panels::own      ? own + (t - rows.begin) * a_size
                                         : a_ == Panels::shared ? shared_a(c, block, t)
                                                                : ready_a(block, c.tile + t);
                        count = std::min(bottom - t, tiles_together(c.tile + t));
                        tiles(a, b, block, c.tile + t, count, c.panel + p);
                    }
                }
            }
        }
    }

    const float* ready_a(std::int64_t block, std::int64_t tile) const {
        return g_.packed_a + packed_panel(depth_, block, tiles_, kernels_.tile_rows, tile);
    }
    const float* ready_b(std::int64_t block, std::int64_t panel) const {
        return g_.packed_b + packed_panel(depth_, block, panels_, kernels_.tile_columns, panel);
    }

    std::int64_t row_offset(std::int64_t i) const {
        return i < g_.c_rows.length ? i * g_.c_row
                                    : i / g_.c_rows.length * g_.c_rows.jump + i % g_.c_rows.length * g_.c_row;
    }
    std::int64_t column_offset(std::int64_t j) const {
        return j < g_.c_columns.length ? j : j / g_.c_columns.length * g_.c_columns.jump + j % g_.c_columns.length;
    }
    static bool in_one_run(const Runs& runs, std::int64_t first, std::int64_t count) {
        return first + count <= runs.length || count <= 1 || runs.length - first % runs.length >= count;
    }

    // How many tiles from this one on are whole and in one run of C's rows; a tile that is not is alone.
    std::int64_t tiles_together(std::int64_t tile_row) const {
        const std::int64_t i = tile_row * kernels_.tile_rows, run = g_.c_rows.length - i % g_.c_rows.length;
        return std::max<std::int64_t>(1, std::min(run, g_.m - i) / kernels_.tile_rows);
    }

    void tiles(const float* a, const float* b, std::int64_t block, std::int64_t tile_row, std::int64_t count,
               std::int64_t panel) const {
        const std::int64_t i = tile_row * kernels_.tile_rows, j = panel * kernels_.tile_columns;
        const std::int64_t rows = std::min(kernels_.tile_rows, g_.m - i),
                           columns = std::min(kernels_.tile_columns, g_.n - j);
        const std::int64_t left = std::min(columns, kernels_.lanes), right = columns - left;
        const GemmEpilogue& e = g_.epilogue;
        const bool accumulate = g_.accumulate || block > 0, last = block + 1 == depth_.count;
        GemmTiles t{};
        t.a = a, t.b = b, t.b_step = kernels_.tile_columns, t.k = depth_.size(block);
        t.rows = rows, t.columns = columns, t.count = count, t.a_step = t.k * kernels_.tile_rows;
        if (!in_one_run(g_.c_rows, i, rows) || !in_one_run(g_.c_columns, j, left) ||
            !in_one_run(g_.c_columns, j + left, right)) {
            alignas(64) float sums[largest_tile];
            t.c = sums, t.c_row = kernels_.tile_columns, t.c_high = kernels_.lanes, t.count = 1;
            for (std::int64_t tile = 0; tile < count; ++tile, t.a += t.a_step) {
                kernels_.tiles(t);
                for (std::int64_t y = 0; y < rows; ++y) {
                    for (std::int64_t x = 0; x < columns; ++x) {
                        put(i + tile * rows + y, j + x, sums[y * t.c_row + x], accumulate, last);
                    }
                }
            }
            return;
        }
        const std::int64_t at = row_offset(i) + column_offset(j);
        t.c = g_.c + at, t.c_row = g_.c_row;
        t.c_high = right > 0 ? column_offset(j + left) - column_offset(j) : 0;
        t.accumulate = accumulate;
        t.finish = last && (e.row_bias != nullptr || e.column_bias != nullptr || e.residual != nullptr || e.relu);
        t.row_bias = e.row_bias == nullptr ? nullptr : e.row_bias + i;
        t.column_bias = e.column_bias == nullptr ? nullptr : e.column_bias + j;
        t.residual = e.residual == nullptr ? nullptr : e.residual + at;
        t.relu = e.relu;
        kernels_.tiles(t);
    }

    const Gemm& g_;
    const GemmKernels& kernels_;
    DepthBlocks depth_;
    std::int64_t tiles_, panels_;  // of C's rows and columns
    int threads_;
    Panels a_{}, b_{};
    std::int64_t chunk_tiles_, chunk_panels_, span_;  // of a chunk, the last counted in blocks of the sum
    float *shared_a_, *shared_b_, *own_;
};

}  // namespace

std::int64_t gemm_workspace(std::int64_t m, std::int64_t n, std::int64_t k, Isa isa, int threads) {
    return m == 0 || n == 0 || k == 0 ? 0 : Product::workspace(m, n, k, isa, threads);
}

void gemm(const Gemm& g, float* workspace, Isa isa, int threads) {
    if (g.m == 0 || g.n == 0) return;
    const Product product(g, workspace, isa, threads);
    if (g.k > 0) return product.run();
    parallel_items(g.m, threads, [&](std::int64_t i, int) {
        for (std::int64_t j = 0; j < g.n; ++j) product.put(i, j, 0.0f, g.accumulate, true);
    });
}

}  // namespace striate
