// Epochs of a fit: the order of rows, batches, and scikit-learn's rules of when it ends. What a step
// on a batch is, a subclass says. Included as `simd.hpp` is.
#pragma once

template <class T>
class Epochs {
  public:
    explicit Epochs(Training& run)
        : run_(run),
          plan_(*run.plan),
          flat_(static_cast<T*>(run.flat)),
          m_(static_cast<T*>(run.first_moment)),
          v_(static_cast<T*>(run.second_moment)),
          team_(std::min(run.n_threads, run.n_shards)) {}
    virtual ~Epochs() = default;

    void run() {
        const auto began = Clock::now();
        asked_ = began;
        run_.n_epochs = 0;
        while (run_.n_epochs < run_.max_epochs) {
            const auto started = Clock::now();
            double loss;
            if (!epoch(loss)) {
                run_.reason = Reason::stopped;
                return;
            }
            const size_t e = run_.n_epochs++;
            run_.losses[e] = loss;
            run_.seconds[e] = std::chrono::duration<double>(Clock::now() - started).count();
            run_.used_rates[e] = run_.learning_rate;
            run_.n_rows_seen += int64_t(run_.n);
            if (has_ended(loss)) return;
            if (std::chrono::duration<double>(Clock::now() - began).count() >= run_.max_seconds) {
                run_.reason = Reason::seconds;
                return;
            }
        }
        run_.reason = Reason::epochs;
    }

  protected:
    // A step on a batch; returns its penalized mean loss before the step.
    virtual double step(size_t begin, size_t n, double weight_sum) = 0;

    // Have a network look at a batch.
    void begin_batch(Batch<T>& batch, size_t begin, size_t n, double weight_sum) const {
        batch.order = run_.order ? run_.order + begin : nullptr;
        batch.first = begin, batch.n_rows = n;
        batch.step = uint32_t(run_.t);
        batch.scale = T(1 / weight_sum);
        batch.has_row_scales = run_.rows.weight != nullptr;
        batch.x = batch.gathered ? batch.gathered
                                 : static_cast<const T*>(run_.rows.dense) + begin * plan_.n_features;
        batch.y = run_.order ? batch.gathered_y
                             : static_cast<const char*>(run_.rows.y) + begin * size_of_target();
    }

    // Copy a shard's rows of the batch.
    void gather(Batch<T>& batch, size_t s, double weight_sum) const {
        const size_t begin = batch.begin_of(s), end = batch.begin_of(s + 1);
        if (run_.rows.weight)
            for (size_t i = begin; i < end; ++i)
                batch.row_scales[i] = T(run_.rows.weight[batch.row_of(i)] / weight_sum);
        const size_t d = plan_.n_features, size = size_of_target();
        const char* y = static_cast<const char*>(run_.rows.y);
        for (size_t i = begin; i < end; ++i) {
            const size_t row = batch.row_of(i);
            if (batch.gathered) run_.rows.copy(row, d, batch.gathered + i * batch.gathered_stride);
            if (run_.order)
                std::memcpy(static_cast<char*>(batch.gathered_y) + i * size, y + row * size, size);
        }
    }

    Training& run_;
    const Plan& plan_;
    T *flat_, *m_, *v_;
    Team team_;

  private:
    using Clock = std::chrono::steady_clock;

    // One pass over the rows; false where it was stopped on the way.
    bool epoch(double& loss) {
        if (run_.generator) shuffle(*run_.generator, run_.order, run_.n);
        const size_t n_batches = (run_.n + run_.batch_size - 1) / run_.batch_size;
        const double* rates = run_.rates ? run_.rates + run_.n_epochs * n_batches : nullptr;
        double total = 0;
        for (size_t begin = 0; begin < run_.n; begin += run_.batch_size) {
            if (is_stopped()) return false;
            const size_t n = std::min(run_.batch_size, run_.n - begin);
            const double weight_sum = weigh(begin, n);
            if (!(weight_sum > 0)) continue;  // it has nothing to say
            if (rates) run_.learning_rate = *rates++;
            total += double(n) * paced(pace_, team_, n, [&] { return step(begin, n, weight_sum); });
        }
        loss = total / double(run_.n);
        return true;
    }

    double weigh(size_t begin, size_t n) const {
        if (!run_.rows.weight) return double(n);
        double total = 0;
        for (size_t i = begin; i < begin + n; ++i)
            total += run_.rows.weight[run_.order ? run_.order[i] : i];
        return total;
    }

    size_t size_of_target() const {
        return plan_.n_targets ? plan_.n_targets * sizeof(T) : sizeof(int64_t);
    }

    // scikit-learn's rules after an epoch.
    bool has_ended(double loss) {
        if (run_.options.power_t >= 0) {  // "invscaling"
            // a thousand orders of magnitude overflow, and past thirty no step is seen anyway
            const double n = double(run_.n_rows_seen) + 1,
                         power = std::min(run_.options.power_t, 30 / std::log10(n));
            const double rate = run_.options.learning_rate_init / std::pow(n, power);
            if (m_ && run_.options.solver == Solver::sgd &&
                rate != run_.learning_rate) {  // the velocity stays
                const T factor = T(run_.learning_rate / rate);
                for (size_t i = 0; i < plan_.n_parameters; ++i) m_[i] *= factor;
            }
            run_.learning_rate = rate;
        }
        if (run_.n_iter_no_change >= 0) {
            run_.no_improvement = loss > run_.best_loss - run_.tol ? run_.no_improvement + 1 : 0;
            if (loss < run_.best_loss) run_.best_loss = loss;
        }
        if (!std::isfinite(loss))
            run_.reason = Reason::not_finite;
        else if (run_.n_iter_no_change >= 0 && run_.no_improvement > run_.n_iter_no_change)
            run_.reason = Reason::converged;
        else
            return false;
        return true;
    }

    bool is_stopped() {
        if (run_.stop && *run_.stop) return true;
        if (!run_.is_interrupted) return false;
        const auto now = Clock::now();
        if (std::chrono::duration<double>(now - asked_).count() < 0.05) return false;
        asked_ = now;
        return run_.is_interrupted();
    }

    Clock::time_point asked_;
    Pace& pace_ = pace_of(&plan_);
};
