// Training of a network with members. Included as `simd.hpp` is.
//
// Every shard of the batch's rows sums up its own gradient. Then shards of the numbers add these,
// and update what Adam or SGD updates; what Muon turns follows, a matrix's rows in each shard.
#pragma once

template <class T>
class MembersTrainer : public Epochs<T> {
  public:
    explicit MembersTrainer(Training& run)
        : Epochs<T>(run),
          network_(plan_, flat_, nullptr, static_cast<const T*>(run.buffers), run.batch_size, true,
                   run.n_shards),
          muon_(run.options, run.n_shards),
          parts_(run.options.parts),
          losses_(run.n_shards),
          squares_(run.n_shards),
          norms_(run.n_shards) {
        network_.dropout_seed = run.dropout_seed;
        if (run.dropout >= 0) network_.set_dropout(run.dropout);
        if (parts_.empty()) parts_.push_back({0, plan_.n_parameters, 0, 1.0});
    }

  private:
    using Epochs<T>::run_, Epochs<T>::plan_, Epochs<T>::flat_, Epochs<T>::m_, Epochs<T>::v_,
        Epochs<T>::team_;

    double step(size_t begin, size_t n, double weight_sum) override {
        const size_t n_shards = run_.n_shards;
        this->begin_batch(network_, begin, n, weight_sum);
        team_.each(n_shards, [&](size_t s) {
            this->gather(network_, s, weight_sum);
            losses_[s] = network_.propagate(s);
        });
        ++run_.t;
        const double bound = run_.options.max_grad_norm;
        team_.each(n_shards, [&](size_t s) {
            sum_gradients(s, T(run_.options.alpha / weight_sum));
            if (bound <= 0) update(s);
        });
        if (bound > 0) {
            const T factor = clipping<T>(bound, norms_);
            team_.each(n_shards, [&](size_t s) {
                T* g = network_.gradient(0);
                for (size_t i = start(s); i < start(s + 1); ++i) g[i] *= factor;
                update(s);
            });
        }
        muon_.step(team_, run_.learning_rate, flat_, network_.gradient(0), m_,
                   [&](size_t offset, size_t from, size_t to) { keep_turned(offset, from, to); });
        keep_others_turned();
        double loss = 0, squares = 0;
        for (size_t s = 0; s < n_shards; ++s) loss += losses_[s], squares += squares_[s];
        return loss + run_.options.alpha / 2 * squares / weight_sum;
    }

    size_t start(size_t s) const { return plan_.n_parameters * s / run_.n_shards; }

    // A shard's part of the gradient, with that of the penalty.
    void sum_gradients(size_t s, T penalty) {
        const size_t from = start(s), n = start(s + 1) - from;
        T* g = network_.gradient(0) + from;
        for (size_t other = 1; other < run_.n_shards; ++other)
            add(n, network_.gradient(other) + from, g);
        const size_t n_coefs = from < plan_.n_coefs ? std::min(n, plan_.n_coefs - from) : 0;
        squares_[s] = run_.options.alpha != 0 ? double(dot(flat_ + from, flat_ + from, n_coefs)) : 0;
        if (penalty != T(0)) add_scaled(n_coefs, penalty, flat_ + from, g);
        norms_[s] = run_.options.max_grad_norm > 0 ? double(dot(g, g, n)) : 0;
    }

    // A shard's part of what is updated number by number.
    void update(size_t s) {
        for (const Part& part : parts_) {
            if (part.is_matrix()) continue;
            const Update<T> update(run_.options, run_.learning_rate * part.factor, run_.t);
            const auto apply = [&](size_t from, size_t to, bool decays) {
                from = std::max({from, part.offset, start(s)});
                to = std::min({to, part.offset + part.size(), start(s + 1)});
                if (from < to)
                    update(to - from, decays, flat_ + from, network_.gradient(0) + from,
                           m_ ? m_ + from : nullptr, v_ ? v_ + from : nullptr);
            };
            apply(0, plan_.n_coefs, true);
            apply(plan_.n_coefs, plan_.n_parameters, false);
        }
    }

    // Matrices that Muon has moved are kept transposed by rows, and others as a whole.
    void keep_turned(size_t offset, size_t from, size_t to) {
        for (size_t l = 0; l < network_.n_hidden(); ++l)
            if (plan_.layers[l].coefs.offset == offset) network_.transpose(l, from, to);
    }

    void keep_others_turned() {
        for (size_t l = 0; l < network_.n_hidden(); ++l) {
            const Weights& w = plan_.layers[l].coefs;
            const bool is_muons = std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) {
                return part.is_matrix() && part.offset == w.offset && part.rows == w.fan_in;
            });
            if (!is_muons) network_.transpose(l, 0, w.fan_in);
        }
    }

    Members<T> network_;
    Muon<T> muon_;
    std::vector<Part> parts_;
    std::vector<double> losses_, squares_, norms_;
};
