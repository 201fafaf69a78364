#include "threads/phases.h"

#include <thread>

#include "threads/pool.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace striate {

namespace {

constexpr int spins = 4096;  // some 100 µs of pauses; then the core is given to whoever else wants it

std::atomic<TeamRunner> team{nullptr};

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

void use_team(TeamRunner runner) {
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { team.store(nullptr); });
    static_cast<void>(registered);
#endif
    team.store(runner);
}

void run_team(int threads, void (*member)(void*, int), void* context) {
    const TeamRunner runner = team.load();
    if (runner == nullptr) {
        return parallel_for(threads, 1, threads, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t index = begin; index < end; ++index) member(context, static_cast<int>(index));
        });
    }
    struct Members {
        void (*member)(void*, int);
        void* context;
        std::atomic<int> joined{0};
    };
    Members members{member, context};
    runner(
        [](void* all) {
            Members& m = *static_cast<Members*>(all);
            m.member(m.context, m.joined.fetch_add(1, std::memory_order_relaxed));
        },
        &members, static_cast<unsigned>(threads), 0);
}

void wait_for(const std::atomic<std::int64_t>& done, std::int64_t wanted) {
    for (int i = 0; done.load(std::memory_order_acquire) < wanted;) {
        if (i < spins) {
            ++i;
            pause();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace striate
