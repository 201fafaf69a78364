// Batch conversion, the obvious way: one pixel after another, straight from the equation. The oracle for the kernels.
#pragma once

#include "convert/batch.h"

namespace striate::reference {

void convert(const Batch& batch, const Image* images, const Window* windows);

}  // namespace striate::reference
