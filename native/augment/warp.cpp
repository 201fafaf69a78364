#include "augment/warp.h"

#include "ref/warp.h"

namespace striate {

void warp(const Warp& call, const Image* images, Isa isa, int threads) {
    static_cast<void>(isa), static_cast<void>(threads);
    reference::warp(call, images);
}

}  // namespace striate
