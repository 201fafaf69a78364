// Keep freed memory in the process instead of handing it back to the system at once; and hand it back when asked.
#pragma once

namespace striate {

// glibc gives every block above M_MMAP_THRESHOLD (128 KiB, growing to at most 32 MiB) its own mapping and unmaps it
// when it is freed. A training step allocates and frees the same large tensors every time, so every step pays a page
// fault, and the kernel's zeroing, per 4 KiB of them. With the mappings off and the trimming threshold out of reach,
// the blocks are reused. The price: the process keeps its high-water mark.
//
// True if it was applied; false where the C library is not glibc.
bool keep_memory();

// Hand back, once, what is free now: for a process that is about to need memory in other sizes than it freed.
// True if any was; false where the C library is not glibc.
bool return_memory();

}  // namespace striate
