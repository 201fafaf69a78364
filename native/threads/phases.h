// Work in phases: all items of a phase are done before any item of the next begins.
//
// Items carry tickets, numbered through all phases. A member takes the next ticket, waits until every ticket of the
// phases before its own is done, and does its item. No barrier counts members, so a helper that comes late, or never,
// holds nobody up: the caller alone would finish. Waiting is short (the rest of a phase) and spins.
//
// Conv kernels run this way, and on the team that `use_team` names, if any: where PyTorch is in the process, its own
// OpenMP threads, so that two sets of threads do not fight for the same cores.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace striate {

// Calls body(context) on up to `threads` threads at once, the caller among them, and returns when all have: the
// signature of GOMP_parallel. `flags` is 0.
using TeamRunner = void (*)(void (*body)(void*), void* context, unsigned threads, unsigned flags);

// From now on; null goes back to the pool (pool.h). A forked child goes back by itself: threads do not survive fork(2).
void use_team(TeamRunner runner);

// member(context, index), index counting the members from 0, on up to `threads` threads at once.
void run_team(int threads, void (*member)(void* context, int index), void* context);

// Until `done` has reached `wanted`.
void wait_for(const std::atomic<std::int64_t>& done, std::int64_t wanted);

// body(phase, item, member) for every item < size(phase) of every phase < phases; member < threads is this thread's own
// number, for a workspace of its own. Neither may throw.
template <typename Size, typename Body>
void parallel_phases(std::int64_t phases, int threads, Size&& size, Body&& body) {
    if (threads <= 1) {
        for (std::int64_t phase = 0; phase < phases; ++phase) {
            const std::int64_t items = size(phase);
            for (std::int64_t item = 0; item < items; ++item) body(phase, item, 0);
        }
        return;
    }
    struct Work {
        std::int64_t phases;
        std::remove_reference_t<Size>& size;
        std::remove_reference_t<Body>& body;
        alignas(64) std::atomic<std::int64_t> next{0};
        alignas(64) std::atomic<std::int64_t> done{0};
    };
    Work work{phases, size, body};
    run_team(
        threads,
        [](void* context, int member) {
            Work& w = *static_cast<Work*>(context);
            std::int64_t phase = 0, first = 0, items = w.phases > 0 ? w.size(0) : 0;
            while (phase < w.phases) {
                const std::int64_t ticket = w.next.fetch_add(1, std::memory_order_relaxed);
                while (ticket >= first + items) {
                    first += items;
                    if (++phase == w.phases) return;
                    items = w.size(phase);
                }
                wait_for(w.done, first);
                w.body(phase, ticket - first, member);
                w.done.fetch_add(1, std::memory_order_release);
            }
        },
        &work);
}

// One phase.
template <typename Body>
void parallel_items(std::int64_t items, int threads, Body&& body) {
    parallel_phases(
        1, static_cast<int>(items < threads ? items : threads), [&](std::int64_t) { return items; },
        [&](std::int64_t, std::int64_t item, int member) { body(item, member); });
}

}  // namespace striate
