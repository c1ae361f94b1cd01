// Threads that share the work of one caller: `each(n, work)` runs work(0) ... work(n - 1).
//
// Made for a block of training and joined at its end, so that nothing lives between calls and a
// process may fork. The work is cut into shards by number; which thread does a shard changes
// nothing in its result. Each helper has a shard of its own. One that a helper has not begun in
// time, because another process has its core, is done by the caller. Nobody spins for long. Whether
// to share at all is the caller's to say (pace.hpp).
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sklmlp {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Team {
  public:
    explicit Team(size_t n_threads) {
        const size_t n_helpers = n_threads > 1 ? n_threads - 1 : 0;
        seats_ = std::vector<Seat>(n_helpers);
        try {
            for (size_t i = 0; i < n_helpers; ++i)
                seats_[i].thread = std::thread([this, i] { help(i); });
        } catch (const std::system_error&) {  // as many as there are; the caller does the rest
        }
    }

    ~Team() {
        is_over_ = true;
        publish();
        for (Seat& seat : seats_)
            if (seat.thread.joinable()) seat.thread.join();
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    template <class Work>
    void each(size_t n, Work&& work) {
        const size_t n_shared = std::min(n, seats_.size() + 1);
        if (n_shared <= 1 || !shares) {
            for (size_t i = 0; i < n; ++i) work(i);
            return;
        }
        // helper i does shard i + 1, and those that are n_shared further on
        auto part = [&](size_t i) {
            for (; i < n; i += n_shared) work(i);
        };
        using Part = decltype(part);
        act_ = [](void* part, size_t i) { (*static_cast<Part*>(part))(i); };
        part_ = &part;
        n_open_.store(n_shared - 1, std::memory_order_relaxed);
        for (size_t i = 0; i + 1 < n_shared; ++i)
            seats_[i].is_open.store(true, std::memory_order_release);
        publish();
        part(0);
        finish(n_shared - 1);
    }

    bool is_alone() const { return seats_.empty(); }

    bool shares = true;

  private:
    struct alignas(64) Seat {
        std::atomic<bool> is_open{false};
        std::thread thread;
    };

    static constexpr unsigned kPatience = 2000;  // turns of a spin, some 20 to 50 microseconds

    void publish() {
        turn_.fetch_add(1, std::memory_order_seq_cst);
        if (n_asleep_.load(std::memory_order_seq_cst) > 0) {
            {
                std::lock_guard<std::mutex> lock(mutex_);
            }
            awake_.notify_all();
        }
    }

    // Do what nobody has begun, and wait for what somebody has. To wait for a helper that has not
    // begun by now would take as long as its part, and longer where it has no core.
    void finish(size_t n_helpers) {
        for (size_t i = 0; i < n_helpers; ++i)
            if (take(seats_[i])) {
                act_(part_, i + 1);
                n_open_.fetch_sub(1, std::memory_order_release);
            }
        for (unsigned spun = 0; spun < kPatience; ++spun) {
            if (n_open_.load(std::memory_order_acquire) == 0) return;
            pause_briefly();
        }
        while (n_open_.load(std::memory_order_acquire) != 0)
            std::this_thread::yield();  // the helper may be waiting for this very core
    }

    static bool take(Seat& seat) {
        bool open = true;
        return seat.is_open.load(std::memory_order_relaxed) &&
               seat.is_open.compare_exchange_strong(open, false, std::memory_order_acq_rel);
    }

    void help(size_t i) {
        Seat& seat = seats_[i];
        uint32_t seen = 0;
        while (true) {
            seen = next_turn(seen);
            if (is_over_) return;
            if (!take(seat)) continue;
            act_(part_, i + 1);
            n_open_.fetch_sub(1, std::memory_order_release);
        }
    }

    uint32_t next_turn(uint32_t seen) {
        uint32_t turn;
        for (unsigned spun = 0; spun < 2 * kPatience; ++spun) {
            if ((turn = turn_.load(std::memory_order_acquire)) != seen) return turn;
            pause_briefly();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        n_asleep_.fetch_add(1, std::memory_order_seq_cst);
        awake_.wait(lock, [&] { return (turn = turn_.load(std::memory_order_seq_cst)) != seen; });
        n_asleep_.fetch_sub(1, std::memory_order_seq_cst);
        return turn;
    }

    std::vector<Seat> seats_;
    void (*act_)(void*, size_t) = nullptr;
    void* part_ = nullptr;
    alignas(64) std::atomic<uint32_t> turn_{0};
    alignas(64) std::atomic<size_t> n_open_{0};
    std::atomic<int> n_asleep_{0};
    std::atomic<bool> is_over_{false};
    std::mutex mutex_;
    std::condition_variable awake_;
};

}  // namespace sklmlp
