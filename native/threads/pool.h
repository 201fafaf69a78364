// A small pool of threads that outlives the calls that use it.
//
// `parallel_for` splits [0, count) into ranges of about `grain` and hands them out first come, first served; the caller
// works too, so one thread means no pool at all. Ranges are disjoint: a body that writes only what its range covers
// gives the same result for every number of threads.
//
// Promises: idle threads sleep (no busy waiting); several callers may be inside at once; nothing is allocated once the
// pool has as many threads as were ever asked for; a forked child starts a pool of its own, because threads do not
// survive fork(2); workers block all signals but faults, so that Python's handlers run where Python expects them.
#pragma once

#include <cstdint>
#include <type_traits>

namespace striate {

constexpr int max_threads = 256;  // beyond any machine where splitting one batch further would help

using RangeBody = void (*)(void* context, std::int64_t begin, std::int64_t end);

void parallel_for(std::int64_t count, std::int64_t grain, int threads, RangeBody body, void* context);

// The same for a callable `body(begin, end)`, which must not throw.
template <typename Body>
void parallel_for(std::int64_t count, std::int64_t grain, int threads, Body&& body) {
    using Callable = std::remove_reference_t<Body>;
    parallel_for(
        count, grain, threads,
        [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Callable*>(context))(begin, end); },
        const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace striate
