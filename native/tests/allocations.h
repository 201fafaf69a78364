// How often this program has asked for memory: plans state a workspace so that their runs need not.
#pragma once

namespace striate {

// By `new`, in all threads, since the program began.
long allocations();

// From now on `so_many` of them succeed in all threads and the next one throws std::bad_alloc; those after it succeed.
void fail_after(long so_many);

}  // namespace striate
