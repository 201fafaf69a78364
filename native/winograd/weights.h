// Transformed weights, and the blocks in which maps lie on both sides of their products.
//
// For each group, component and pair of blocks of the result's maps there is a panel [maps of the images, 2 · lanes],
// which products read from one end to the other.
#pragma once

#include "conv/plan.h"
#include "winograd/kernels.h"
#include "winograd/residues.h"

namespace striate {

// Of one group. Images of four residues have their maps four times, each in whole blocks; so has a result of four.
struct WinogradMaps {
    std::int64_t groups, in, out;            // maps that exist, of a group
    std::int64_t lanes;                      // of a block
    std::int64_t in_blocks, out_blocks;      // of a residue
    std::int64_t in_residues, out_residues;  // 1 or 4, and not both 4

    std::int64_t pairs() const { return quotient_up(out_blocks, 2); }  // of blocks, of a residue
    std::int64_t all_pairs() const { return out_residues * pairs(); }
    std::int64_t all_in_blocks() const { return in_residues * in_blocks; }

    // Maps of the images that a sum over so many residues takes.
    std::int64_t terms(std::int64_t residues) const { return (residues - 1) * in_blocks * lanes + in; }

    std::int64_t panel() const { return (in_residues == 1 ? in : in_residues * in_blocks * lanes) * 2 * lanes; }
};

// `filters` to all panels; past the caches where that is asked for.
void pack_winograd(const WinogradMaps& maps, const WinogradResidues& residues, const WinogradKernels& kernels,
                   const WinogradTransforms& transforms, const Filters& filters, int threads, bool past_caches,
                   float* packed);

}  // namespace striate
