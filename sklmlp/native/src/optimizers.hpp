// Updates of a range of parameters. Included as `simd.hpp` is.
#pragma once

// What a step of an optimizer is made with; see `sklmlp.train.optimizers`.
template <class T>
struct Update {
    Solver solver;
    T rate, beta_1, beta_2, epsilon, decay, momentum;
    bool nesterov;

    // The update of step t, counted from 1.
    Update(const Options& o, double learning_rate, int64_t t)
        : solver(o.solver), nesterov(o.nesterov) {
        beta_1 = T(o.beta_1), beta_2 = T(o.beta_2), momentum = T(o.momentum);
        decay = T(1 - learning_rate * o.weight_decay);
        rate = T(learning_rate), epsilon = T(o.epsilon);
        if (solver == Solver::sgd) return;
        // Kingma & Ba 2015, end of section 2: both corrections of the bias in the rate. That leaves
        // epsilon as scikit-learn has it; torch adds it to the corrected sqrt(v).
        const double correction = std::sqrt(1 - std::pow(o.beta_2, double(t)));
        rate = T(learning_rate * correction / (1 - std::pow(o.beta_1, double(t))));
        if (solver != Solver::adam) epsilon = T(o.epsilon * correction);
    }

    // AdamW decays matrices alone.
    void operator()(size_t n, bool is_matrix, T* __restrict w, const T* __restrict g,
                    T* __restrict m, T* __restrict v) const {
        if (solver == Solver::sgd)
            sgd(n, w, g, m);
        else if (solver == Solver::adamw && is_matrix)
            adam<true>(n, w, g, m, v);
        else
            adam<false>(n, w, g, m, v);
    }

    // Algorithm 1 of Kingma & Ba 2015; with decay, algorithm 2 of Loshchilov & Hutter 2019.
    template <bool Decays>
    void adam(size_t n, T* __restrict w, const T* __restrict g, T* __restrict m,
              T* __restrict v) const {
        const T b1 = beta_1, c1 = T(1) - b1, b2 = beta_2, c2 = T(1) - b2, r = rate, e = epsilon,
                d = decay;
        for (size_t i = 0; i < n; ++i) {
            m[i] = b1 * m[i] + c1 * g[i];
            v[i] = b2 * v[i] + c2 * g[i] * g[i];
            const T step = r * m[i] / (std::sqrt(v[i]) + e);
            w[i] = (Decays ? w[i] * d : w[i]) - step;
        }
    }

    // Sutskever et al. 2013, eq. 1 to 4, with the velocity over minus the rate.
    void sgd(size_t n, T* __restrict w, const T* __restrict g, T* __restrict m) const {
        const T mu = momentum, r = rate;
        if (m == nullptr) {
            for (size_t i = 0; i < n; ++i) w[i] -= r * g[i];
            return;
        }
        for (size_t i = 0; i < n; ++i) {
            m[i] = mu * m[i] + g[i];
            w[i] -= r * (nesterov ? g[i] + mu * m[i] : m[i]);
        }
    }
};

// What a gradient is multiplied by, that its norm has a bound: Pascanu, Mikolov & Bengio 2013,
// algorithm 1, as torch has it; NaN stays. `squares` are those of the shards of the gradient.
template <class T>
T clipping(double bound, const std::vector<double>& squares) {
    double total = 0;
    for (double part : squares) total += part;
    const T ratio = T(bound) / (T(std::sqrt(total)) + T(1e-6));
    return ratio > T(1) ? T(1) : ratio;
}
