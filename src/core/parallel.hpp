// Tasks on threads, while the calling thread listens.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace penultimate {

// Runs task(0) ... task(count - 1) on threads. Each thread asks `make_task` for a task of its own,
// which may keep buffers. Meanwhile `listen(done)` hears every 50 ms, and in the end, how many tasks
// are done; when it returns false, `cancelled` becomes true, and no other task begins.
template <class MakeTask, class Listen>
void run_parallel(int count, int n_threads, std::atomic<bool>& cancelled, const MakeTask& make_task,
                  const Listen& listen) {
    std::atomic<int> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable changed;
    const int wanted = std::max(1, std::min(n_threads, count));
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
    // Beforehand: were the vector to throw while it grows, it would destroy threads that run, and
    // end the process.
    threads.reserve(size_t(wanted));
    try {
        for (int t = 0; t < wanted; ++t) threads.emplace_back(work);
    } catch (const std::exception&) {
        // The system has no more threads, or no memory for one; those that there are do all tasks.
        const std::lock_guard<std::mutex> lock(mutex);
        running -= wanted - int(threads.size());
    }
    if (threads.empty()) {
        // Not even one: the calling thread does the work, and listens when all is done.
        running = 1;
        work();
    }
    {
        std::unique_lock<std::mutex> lock(mutex);
        while (running > 0) {
            changed.wait_for(lock, std::chrono::milliseconds(50));
            if (running == 0) break;
            lock.unlock();
            if (!cancelled && !listen(done.load())) cancelled = true;
            lock.lock();
        }
    }
    for (auto& thread : threads) thread.join();
    if (!cancelled && !listen(done.load())) cancelled = true;
    if (failure) std::rethrow_exception(failure);
}

}  // namespace penultimate
