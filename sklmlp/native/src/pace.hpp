// Whether a step is shared with other threads or done alone: whichever takes less time.
//
// Sharing pays where the helpers have cores of their own and not where another process has them,
// and neither can be known but by trying. So the other way is tried again and again, for a few
// steps, and so seldom that trials which fail cost three percent.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>

#include "team.hpp"

namespace sklmlp {

class Pace {
  public:
    explicit Pace(bool shares = true) : shares_(shares) {}

    // Whether to share the next step.
    bool shares() const { return shares_ != is_trying_; }

    // Take note of how long that step took.
    void took(double seconds, size_t n_rows) {
        if (!is_trying_) {
            standing_.add(seconds, n_rows);
            if (standing_.seconds >= due_) {
                is_trying_ = true;
                tried_ = Cost();
                n_tried_ = 0;
            }
            return;
        }
        const double expected = standing_.a_row() * double(n_rows);
        const bool is_hopeless = seconds > kHopeless * expected + 2e-4;
        if (++n_tried_ == 1 && !is_hopeless) return;  // it wakes a thread, or warms a cache
        tried_.add(seconds, n_rows);
        if (n_tried_ <= kSteps && !is_hopeless) return;
        const double lost = tried_.seconds - standing_.a_row() * double(tried_.n_rows);
        if (lost < 0) {
            shares_ = !shares_;
            due_ = kSoon;
        } else {
            due_ = std::max(std::min(2 * due_, kLate), kShare * lost);
        }
        is_trying_ = false;
        standing_ = Cost();
    }

  private:
    struct Cost {
        double seconds = 0;
        size_t n_rows = 0;
        void add(double s, size_t n) { seconds += s, n_rows += n; }
        double a_row() const { return seconds / double(n_rows); }
    };

    static constexpr unsigned kSteps = 6;   // of a trial that count
    static constexpr double kHopeless = 4;  // times as long as the standing way ends a trial
    static constexpr double kSoon = 4e-3, kLate = 0.25;  // seconds from trial to trial
    static constexpr double kShare = 32;  // times what a trial lost, until the next one

    bool shares_, is_trying_ = false;
    Cost standing_, tried_;
    unsigned n_tried_ = 0;
    double due_ = kSoon / 4;
};

// The pace of a network, from one block of its training to the next in the same thread. Another
// network begins as the one before it ended.
inline Pace& pace_of(const void* network) {
    thread_local const void* last = nullptr;
    thread_local Pace pace;
    if (network != last) {
        pace = Pace(pace.shares());
        last = network;
    }
    return pace;
}

// Do a step on some rows by a team, or alone, and take note of how long it took.
template <class Step>
double paced(Pace& pace, Team& team, size_t n_rows, Step&& step) {
    if (team.is_alone()) return step();
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    team.shares = pace.shares();
    const double loss = step();
    pace.took(std::chrono::duration<double>(Clock::now() - began).count(), n_rows);
    return loss;
}

}  // namespace sklmlp
