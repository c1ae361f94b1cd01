// Training, prediction and the gradient of all rows. Included as `simd.hpp` is.
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
#include "batch.hpp"
#include "network.hpp"
#include "epochs.hpp"
#include "trainer.hpp"
#include "front.hpp"
#include "averages.hpp"
#include "members.hpp"
#include "muon.hpp"
#include "members_trainer.hpp"

template <class T>
void train(Training& run) {
    if (run.plan->n_members)
        MembersTrainer<T>(run).run();
    else
        Trainer<T>(run).run();
}

// Rows that a thread takes at a time, so that what they become stays in its cache.
inline size_t rows_at_a_time(const Plan& plan) {
    size_t width = plan.width_in();
    for (const Layer& layer : plan.layers) width += layer.units();
    return std::min<size_t>(1024, std::max<size_t>(192, 65536 / width / 24 * 24));
}

// Logits of all rows by `compute(network, n, out)`; a network of each thread, which `make(size)` has
// room for so many rows in, takes some rows at a time.
template <class T, class Make, class Compute>
void in_chunks(const Forward& run, Make&& make, Compute&& compute) {
    const Plan& plan = *run.plan;
    const size_t n = run.rows.n, size = std::min(n, rows_at_a_time(plan));
    if (n == 0) return;
    const size_t n_chunks = (n + size - 1) / size, n_threads = std::min(run.n_threads, n_chunks);
    std::vector<decltype(make(size))> networks;
    for (size_t i = 0; i < n_threads; ++i) networks.push_back(make(size));
    Team team(n_threads);
    std::atomic<size_t> next{0};
    team.each(n_threads, [&](size_t i) {
        for (size_t chunk; (chunk = next.fetch_add(1)) < n_chunks;) {
            const size_t begin = chunk * size, more = std::min(size, n - begin);
            networks[i]->look_at(run.rows, begin, more, plan.n_features);
            compute(*networks[i], more, static_cast<T*>(run.out) + begin * plan.n_outputs);
        }
    });
}

template <class T>
void forward(const Forward& run) {
    const Plan& plan = *run.plan;
    const T* flat = static_cast<const T*>(run.flat);
    T* buffers = static_cast<T*>(const_cast<void*>(run.buffers));  // only training changes them
    if (plan.n_members)
        return in_chunks<T>(
            run,
            [&](size_t size) {
                return std::make_unique<Members<T>>(plan, flat, run.segments, buffers, size, false,
                                                    1);
            },
            [](Members<T>& network, size_t n, T* out) { network.predict(n, out); });
    const bool gathers = !run.rows.is_sparse() && !run.rows.is_contiguous(plan.n_features);
    in_chunks<T>(
        run,
        [&](size_t size) {
            return std::make_unique<Network<T>>(plan, flat, run.segments, buffers, size, false,
                                                gathers, 1);
        },
        [](Network<T>& network, size_t n, T* out) {
            network.begin_batch(n);
            network.memory.back().z = out;
            network.forward(0, 0, false);
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
    network.has_row_scales = run.rows.weight != nullptr;
    for (size_t begin = 0; begin < n; begin += size) {
        const size_t n_rows = std::min(size, n - begin);
        network.look_at(run.rows, begin, n_rows, plan.n_features);
        network.y = static_cast<const char*>(run.rows.y) +
                    begin * (plan.n_targets ? plan.n_targets * sizeof(T) : 8);
        network.begin_batch(n_rows);
        run.loss += paced(pace, team, n_rows, [&] {
            const double loss = propagate<T>(network, team, losses, [&](size_t s) {
                for (size_t i = network.begin_of(s); i < network.begin_of(s + 1); ++i)
                    if (run.rows.weight) network.row_scales[i] = T(run.rows.weight[begin + i]);
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
