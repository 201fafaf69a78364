// How often this program has asked for memory: plans state a workspace so that their runs need not.
#pragma once

namespace striate {

// By `new`, in all threads, since the program began.
long allocations();

}  // namespace striate
