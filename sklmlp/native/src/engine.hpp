// Training, prediction and the gradient of all rows. Included as `simd.hpp` is.
//
// A step has two phases, and a team of threads meets after each. First every shard of the batch's
// rows is gathered and goes forward, through the loss and backward. Then every shard of the
// parameters, which are rows of each matrix, gets its gradient from all rows of the batch, its
// penalty and its update. So no thread sums up what others have computed, but for the few
// parameters that are no matrices. A normalization by batches, and a bound of the gradient's norm,
// need a meeting more.
#pragma once
#include "simd.hpp"
#include "products.hpp"
#include "optimizers.hpp"
#include "normalization.hpp"
#include "dropout.hpp"
#include "vector_math.hpp"
#include "activations.hpp"
#include "losses.hpp"
#include "kernels.hpp"
#include "network.hpp"

// A matrix among the parameters, whose rows are dealt to the shards.
struct Piece {
    size_t layer;
    bool is_projection;
    size_t offset, rows, columns;
};

inline std::vector<Piece> pieces_of(const Plan& plan) {
    std::vector<Piece> pieces;
    for (size_t l = 0; l < plan.layers.size(); ++l) {
        const Layer& layer = plan.layers[l];
        pieces.push_back({l, false, layer.coefs.offset, layer.coefs.rows(), layer.coefs.columns()});
        if (layer.skip == Skip::projection)
            pieces.push_back({l, true, layer.projection.offset, layer.projection.rows(),
                              layer.projection.columns()});
    }
    return pieces;
}

// Forward, loss and backward of a batch; what is random and what is learned is the network's.
template <class T>
double propagate(Network<T>& network, Team& team, std::vector<double>& losses,
                 const std::function<void(size_t)>& gather) {
    const size_t n_layers = network.plan.layers.size(), n_shards = network.n_shards();
    auto run = [&](size_t s, size_t l, bool resumed) {
        if (network.forward(s, l, resumed) < n_layers) return;
        losses[s] = network.loss(s);
        network.backward(s, n_layers - 1, false);
    };
    team.each(n_shards, [&](size_t s) {
        gather(s);
        network.clear(s);
        run(s, 0, false);
    });
    for (size_t l = 0; l < n_layers; ++l) {
        if (!network.normalizes_by_batch(l)) continue;
        network.join(l);
        team.each(n_shards, [&](size_t s) { run(s, l, true); });
    }
    for (size_t l = n_layers; l-- > 0;) {
        if (!network.normalizes_by_batch(l)) continue;
        network.join_backward(l);
        team.each(n_shards, [&](size_t s) { network.backward(s, l, true); });
    }
    double total = 0;
    for (size_t s = 0; s < n_shards; ++s) total += losses[s];
    return total;
}

template <class T>
class Trainer {
  public:
    explicit Trainer(Training& run)
        : run_(run),
          plan_(*run.plan),
          flat_(static_cast<T*>(run.flat)),
          m_(static_cast<T*>(run.first_moment)),
          v_(static_cast<T*>(run.second_moment)),
          pieces_(pieces_of(plan_)),
          gathers_(!run.rows.is_sparse() &&
                   (run.order || !run.rows.is_contiguous(plan_.n_features))),
          network_(plan_, flat_, nullptr, static_cast<T*>(run.buffers), run.batch_size, true,
                   gathers_, run.n_shards),
          gradient_(plan_.n_parameters),
          losses_(run.n_shards),
          squares_(run.n_shards),
          norms_(run.n_shards),
          team_(std::min(run.n_threads, run.n_shards)) {
        network_.in_training = true;
        network_.dropout_seed = run.dropout_seed;
        if (run.rows.is_sparse()) network_.sparse = &run.rows;
    }

    void operator()() {
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

    // A step on a batch; returns its penalized mean loss before the step.
    double step(size_t begin, size_t n, double weight_sum) {
        const size_t n_shards = run_.n_shards;
        network_.order = run_.order ? run_.order + begin : nullptr;
        network_.first = begin;
        network_.step = uint32_t(run_.t);
        network_.scale = T(1 / weight_sum);
        network_.has_row_scales = run_.rows.weight != nullptr;
        network_.begin_batch(n);
        network_.x = gathers_ ? network_.gathered
                              : static_cast<const T*>(run_.rows.dense) + begin * plan_.n_features;
        network_.y = run_.order ? network_.gathered_y
                                : static_cast<const char*>(run_.rows.y) + begin * size_of_target();
        const double loss =
            propagate<T>(network_, team_, losses_, [&](size_t s) { gather(s, weight_sum); });
        if (n > 1 && plan_.has_batch_normalization()) ++run_.n_batch_normalizations;

        const Update<T> update(run_.options, run_.learning_rate, ++run_.t);
        const T penalty = T(run_.options.alpha / weight_sum);
        const double bound = run_.options.max_grad_norm;
        team_.each(n_shards, [&](size_t s) {
            squares_[s] = norms_[s] = 0;
            each_range(s, [&](const Piece* piece, size_t from, size_t to) {
                differentiate(s, piece, from, to, penalty);
                if (bound > 0)
                    norms_[s] += double(dot(&gradient_[from], &gradient_[from], to - from));
                else
                    apply(update, piece != nullptr, from, to);
            });
        });
        if (bound > 0) {
            double norm = 0;
            for (double part : norms_) norm += part;
            // Pascanu, Mikolov & Bengio 2013, algorithm 1, as torch has it; NaN stays
            const T ratio = T(bound) / (T(std::sqrt(norm)) + T(1e-6)),
                    factor = ratio > T(1) ? T(1) : ratio;
            team_.each(n_shards, [&](size_t s) {
                each_range(s, [&](const Piece* piece, size_t from, size_t to) {
                    for (size_t i = from; i < to; ++i) gradient_[i] *= factor;
                    apply(update, piece != nullptr, from, to);
                });
            });
        }
        double squares = 0;
        for (double part : squares_) squares += part;
        return loss + run_.options.alpha / 2 * squares / weight_sum;
    }

    // A shard's part of each matrix, and of what is no matrix.
    template <class Act>
    void each_range(size_t s, Act&& act) const {
        const size_t n_shards = run_.n_shards;
        for (const Piece& piece : pieces_) {
            const size_t from = piece.rows * s / n_shards, to = piece.rows * (s + 1) / n_shards;
            if (from < to)
                act(&piece, piece.offset + from * piece.columns, piece.offset + to * piece.columns);
        }
        const size_t n = plan_.n_parameters - plan_.n_coefs;
        const size_t from = n * s / n_shards, to = n * (s + 1) / n_shards;
        if (from < to) act(nullptr, plan_.n_coefs + from, plan_.n_coefs + to);
    }

    void differentiate(size_t s, const Piece* piece, size_t from, size_t to, T penalty) {
        if (!piece) {
            std::copy(network_.rest(0) + (from - plan_.n_coefs),
                      network_.rest(0) + (to - plan_.n_coefs), &gradient_[from]);
            for (size_t other = 1; other < run_.n_shards; ++other)
                add(to - from, network_.rest(other) + (from - plan_.n_coefs), &gradient_[from]);
            return;
        }
        const size_t first = (from - piece->offset) / piece->columns,
                     last = (to - piece->offset) / piece->columns;
        network_.matrix_gradient(s, piece->layer, piece->is_projection, first, last,
                                 gradient_.data(), false);
        squares_[s] += double(dot(flat_ + from, flat_ + from, to - from));
        if (penalty != T(0)) add_scaled(to - from, penalty, flat_ + from, &gradient_[from]);
    }

    void apply(const Update<T>& update, bool is_matrix, size_t from, size_t to) {
        update(to - from, is_matrix, flat_ + from, &gradient_[from], m_ ? m_ + from : nullptr,
               v_ ? v_ + from : nullptr);
    }

    size_t size_of_target() const {
        return plan_.n_targets ? plan_.n_targets * sizeof(T) : sizeof(int64_t);
    }

    // Copy a shard's rows of the batch.
    void gather(size_t s, double weight_sum) {
        const size_t begin = network_.begin_of(s), end = network_.begin_of(s + 1);
        if (run_.rows.weight)
            for (size_t i = begin; i < end; ++i)
                network_.row_scales[i] = T(run_.rows.weight[network_.row_of(i)] / weight_sum);
        const size_t d = plan_.n_features, size = size_of_target();
        const char* y = static_cast<const char*>(run_.rows.y);
        for (size_t i = begin; i < end; ++i) {
            const size_t row = network_.row_of(i);
            if (gathers_) run_.rows.copy(row, d, network_.gathered + i * d);
            if (run_.order)
                std::memcpy(static_cast<char*>(network_.gathered_y) + i * size, y + row * size,
                            size);
        }
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

    Training& run_;
    const Plan& plan_;
    T *flat_, *m_, *v_;
    std::vector<Piece> pieces_;
    bool gathers_;  // whether rows are copied side by side
    Network<T> network_;
    std::vector<T> gradient_;
    std::vector<double> losses_, squares_, norms_;
    Clock::time_point asked_;
    Team team_;
    Pace& pace_ = pace_of(&plan_);
};

template <class T>
void train(Training& run) {
    Trainer<T> trainer(run);
    trainer();
}

// Rows that a thread takes at a time, so that what they become stays in its cache.
inline size_t rows_at_a_time(const Plan& plan) {
    size_t width = plan.n_features;
    for (const Layer& layer : plan.layers) width += layer.units();
    return std::min<size_t>(1024, std::max<size_t>(192, 65536 / width / 24 * 24));
}

template <class T>
void forward(const Forward& run) {
    const Plan& plan = *run.plan;
    const size_t n = run.rows.n, size = std::min(n, rows_at_a_time(plan));
    if (n == 0) return;
    const size_t n_chunks = (n + size - 1) / size, n_threads = std::min(run.n_threads, n_chunks);
    std::vector<std::unique_ptr<Network<T>>> networks(n_threads);
    for (auto& network : networks) {
        T* buffers = static_cast<T*>(const_cast<void*>(run.buffers));  // only training changes them
        network = std::make_unique<Network<T>>(plan, static_cast<const T*>(run.flat), run.segments,
                                               buffers, size, false, false, 1);
        if (run.rows.is_sparse()) network->sparse = &run.rows;
    }
    Team team(n_threads);
    std::atomic<size_t> next{0};
    const bool gathers = !run.rows.is_sparse() && !run.rows.is_contiguous(plan.n_features);
    const size_t to_gather = gathers ? size * plan.n_features : 0;
    std::vector<T> gathered_rows(n_threads * to_gather);
    team.each(n_threads, [&](size_t i) {
        Network<T>& network = *networks[i];
        T* gathered = gathered_rows.data() + i * to_gather;
        for (size_t chunk; (chunk = next.fetch_add(1)) < n_chunks;) {
            const size_t begin = chunk * size, more = std::min(size, n - begin);
            network.x = gathers ? gathered
                                : static_cast<const T*>(run.rows.dense) + begin * plan.n_features;
            for (size_t i = 0; gathers && i < more; ++i)
                run.rows.copy(begin + i, plan.n_features, &gathered[i * plan.n_features]);
            network.first = begin;
            network.begin_batch(more);
            network.memory.back().z = static_cast<T*>(run.out) + begin * plan.n_outputs;
            network.forward(0, 0, false);
        }
    });
}

// The gradient of the sum of weighted losses of all rows, for L-BFGS.
template <class T>
void gradient(Gradient& run) {
    const Plan& plan = *run.plan;
    const size_t n = run.rows.n, n_shards = std::max<size_t>(1, run.n_threads);
    const size_t size = std::min(n, n_shards * rows_at_a_time(plan));
    T* gradient = static_cast<T*>(run.gradient);
    std::fill(gradient, gradient + plan.n_parameters, T(0));
    run.loss = 0;
    const bool gathers = !run.rows.is_sparse() && !run.rows.is_contiguous(plan.n_features);
    Network<T> network(plan, static_cast<const T*>(run.flat), nullptr, nullptr, size, true, gathers,
                       n_shards);
    Team team(n_shards);
    Pace& pace = pace_of(&plan);
    std::vector<double> losses(n_shards);
    const std::vector<Piece> pieces = pieces_of(plan);
    if (run.rows.is_sparse()) network.sparse = &run.rows;
    network.has_row_scales = run.rows.weight != nullptr;
    for (size_t begin = 0; begin < n; begin += size) {
        network.first = begin;
        network.x = gathers ? network.gathered
                            : static_cast<const T*>(run.rows.dense) + begin * plan.n_features;
        network.y = static_cast<const char*>(run.rows.y) +
                    begin * (plan.n_targets ? plan.n_targets * sizeof(T) : 8);
        const size_t n_rows = std::min(size, n - begin);
        network.begin_batch(n_rows);
        run.loss += paced(pace, team, n_rows, [&] {
            const double loss = propagate<T>(network, team, losses, [&](size_t s) {
                for (size_t i = network.begin_of(s); i < network.begin_of(s + 1); ++i) {
                    if (run.rows.weight) network.row_scales[i] = T(run.rows.weight[begin + i]);
                    if (gathers)
                        run.rows.copy(begin + i, plan.n_features,
                                      network.gathered + i * plan.n_features);
                }
            });
            team.each(n_shards, [&](size_t s) {
                for (const Piece& piece : pieces) {
                    const size_t from = piece.rows * s / n_shards,
                                 to = piece.rows * (s + 1) / n_shards;
                    if (from < to)
                        network.matrix_gradient(s, piece.layer, piece.is_projection, from, to,
                                                gradient, true);
                }
                if (s == 0)
                    for (size_t other = 0; other < n_shards; ++other)
                        add(network.n_rest(), network.rest(other), gradient + plan.n_coefs);
            });
            return loss;
        });
    }
}
