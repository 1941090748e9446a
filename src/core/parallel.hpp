// Tasks on threads, while the calling thread reports progress and checks for interrupts.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace penultimate {

struct Workers {
    int n_threads;
    std::function<bool(int, int)> on_progress;  // (tasks done, tasks); false cancels the rest
};

// Runs task(0) ... task(count - 1) on threads. Each thread calls `make_task` for a task of its own,
// which may keep buffers. Meanwhile the calling thread calls `on_progress`, every 50 ms and at the
// end; if it returns false, `cancelled` becomes true, and no further task begins. Polling, because
// `on_progress` needs the interpreter's lock: taken 20 times per second, it costs next to nothing,
// and Ctrl-C still feels immediate.
//
// An exception in a task cancels the others, and is rethrown here after all threads have been
// joined.
template <class MakeTask>
void run_parallel(const Workers& workers, int count, std::atomic<bool>& cancelled,
                  const MakeTask& make_task) {
    std::atomic<int> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable changed;
    const int wanted = std::max(1, std::min(workers.n_threads, count));
    int running = wanted;
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            auto task = make_task();
            for (int k = next++; k < count && !cancelled; k = next++) {
                task(k);
                ++done;
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex);
            failure = std::current_exception();
            cancelled = true;
        }
        const std::lock_guard<std::mutex> lock(mutex);
        --running;
        changed.notify_all();
    };
    std::vector<std::thread> threads;
    // Reserved beforehand: if the vector threw while growing, it would destroy running threads, and
    // that terminates the process.
    threads.reserve(size_t(wanted));
    try {
        for (int t = 0; t < wanted; ++t) threads.emplace_back(work);
    } catch (const std::exception&) {
        // The system has no more threads, or no memory for one; those already running do all tasks.
        const std::lock_guard<std::mutex> lock(mutex);
        running -= wanted - int(threads.size());
    }
    if (threads.empty()) {
        // Not even one: the calling thread does the work, and calls `on_progress` only at the end.
        running = 1;
        work();
    }
    {
        std::unique_lock<std::mutex> lock(mutex);
        while (running > 0) {
            changed.wait_for(lock, std::chrono::milliseconds(50));
            if (running == 0) break;
            lock.unlock();
            if (!cancelled && !workers.on_progress(done.load(), count)) cancelled = true;
            lock.lock();
        }
    }
    for (auto& thread : threads) thread.join();
    if (!cancelled && !workers.on_progress(done.load(), count)) cancelled = true;
    if (failure) std::rethrow_exception(failure);
}

}  // namespace penultimate
