// Training of a network of layers. Included as `simd.hpp` is.
//
// A step has two phases, and a team of threads meets after each. First every shard of the batch's
// rows is gathered and goes forward, through the loss and backward. Then every shard of the
// parameters, which are rows of each matrix, gets its gradient from all rows of the batch, its
// penalty and its update. So no thread sums up what others have computed, but for the few
// parameters that are no matrices. A normalization by batches, and a bound of the gradient's norm,
// need a meeting more.
#pragma once

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
    const size_t n_layers = network.plan.layers.size(), n_shards = network.n_shards;
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
class Trainer : public Epochs<T> {
  public:
    explicit Trainer(Training& run)
        : Epochs<T>(run),
          pieces_(pieces_of(plan_)),
          network_(plan_, flat_, nullptr, static_cast<T*>(run.buffers), run.batch_size, true,
                   !run.rows.is_sparse() &&
                       (run.order || !run.rows.is_contiguous(plan_.n_features)),
                   run.n_shards),
          gradient_(plan_.n_parameters),
          losses_(run.n_shards),
          squares_(run.n_shards),
          norms_(run.n_shards) {
        network_.in_training = true;
        network_.dropout_seed = run.dropout_seed;
        if (run.rows.is_sparse()) network_.sparse = &run.rows;
    }

  private:
    using Epochs<T>::run_, Epochs<T>::plan_, Epochs<T>::flat_, Epochs<T>::m_, Epochs<T>::v_,
        Epochs<T>::team_;

    double step(size_t begin, size_t n, double weight_sum) override {
        const size_t n_shards = run_.n_shards;
        this->begin_batch(network_, begin, n, weight_sum);
        network_.begin_batch(n);
        const double loss = propagate<T>(network_, team_, losses_, [&](size_t s) {
            this->gather(network_, s, weight_sum);
        });
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
            const T factor = clipping<T>(bound, norms_);
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

    std::vector<Piece> pieces_;
    Network<T> network_;
    std::vector<T> gradient_;
    std::vector<double> losses_, squares_, norms_;
};
