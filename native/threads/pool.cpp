#include "threads/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

namespace striate {

namespace {

// While it lives, its thread blocks all signals but faults, and so do threads that it starts: they inherit the mask.
class BlockedSignals {
public:
#if !defined(_WIN32)
    BlockedSignals() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
#else
    BlockedSignals() {}
#endif
};

// One call of parallel_for. It lives on the caller's stack: the caller leaves only when no helper is inside.
struct Job {
    RangeBody body;
    void* context;
    std::int64_t count;
    std::int64_t grain;
    std::atomic<std::int64_t> next{0};
    int helpers_wanted;  // the rest is guarded by Pool::mutex
    int helpers_inside = 0;
    Job* behind = nullptr;
    std::condition_variable helpers_left{};

    void work() {
        for (;;) {
            const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
            if (begin >= count) return;
            body(context, begin, std::min(begin + grain, count));
        }
    }
};

class Pool {
public:
    void run(Job& job) {
        const int helpers = job.helpers_wanted;  // read before anyone else may change it
        {
            const std::lock_guard lock(mutex);
            if (workers < helpers) hire(helpers);
            append(job);
        }
        for (int i = 0; i < helpers; ++i) work_arrived.notify_one();
        job.work();
        std::unique_lock lock(mutex);
        remove(job);
        job.helpers_left.wait(lock, [&] { return job.helpers_inside == 0; });
    }

private:
    std::mutex mutex;
    std::condition_variable work_arrived;
    Job* first = nullptr;
    int workers = 0;

    // More threads until there are `wanted`. Where there are no more, or no memory for them, those there are do the
    // work.
    void hire(int wanted) {
        const BlockedSignals blocked;
        try {
            for (; workers < wanted; ++workers) std::thread([this] { serve(); }).detach();
        } catch (const std::system_error&) {
        } catch (const std::bad_alloc&) {
        }
    }

    [[noreturn]] void serve() {
        std::unique_lock lock(mutex);
        for (;;) {
            work_arrived.wait(lock, [&] { return first != nullptr; });
            Job& job = *first;
            ++job.helpers_inside;
            if (--job.helpers_wanted == 0) remove(job);
            lock.unlock();
            job.work();
            lock.lock();
            if (--job.helpers_inside == 0) job.helpers_left.notify_one();
        }
    }

    void append(Job& job) {
        Job** link = &first;
        while (*link != nullptr) link = &(*link)->behind;
        *link = &job;
    }

    void remove(Job& job) {
        Job** link = &first;
        while (*link != nullptr && *link != &job) link = &(*link)->behind;
        if (*link == &job) *link = job.behind;
    }
};

// The pool of this process. It is never destroyed: its threads sleep on its condition variable until the process ends.
std::atomic<Pool*> process_pool{nullptr};

Pool& pool() {
#if !defined(_WIN32)
    // After fork(2) the child has the pool's memory but none of its threads, and perhaps a locked mutex: forget it.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { process_pool.store(nullptr); });
    static_cast<void>(registered);
#endif
    Pool* present = process_pool.load();
    if (present == nullptr) {
        Pool* fresh = new Pool;
        if (process_pool.compare_exchange_strong(present, fresh)) return *fresh;
        delete fresh;  // another thread was first
    }
    return *present;
}

}  // namespace

void parallel_for(std::int64_t count, std::int64_t grain, int threads, RangeBody body, void* context) {
    if (count <= 0) return;
    grain = std::max<std::int64_t>(grain, 1);
    const std::int64_t ranges = (count + grain - 1) / grain;
    const auto helpers = static_cast<int>(std::min<std::int64_t>({threads, ranges, max_threads}) - 1);
    if (helpers <= 0) return body(context, 0, count);
    Job job{.body = body, .context = context, .count = count, .grain = grain, .helpers_wanted = helpers};
    pool().run(job);
}

}  // namespace striate
