// A network over some rows: forward and backward, shard by shard. Included as `simd.hpp` is.
#pragma once

// Memory that is cut into aligned pieces: first counted, then had.
template <class T>
class Arena {
  public:
    explicit Arena(char* at = nullptr) : begin_(at), at_(at) {}
    template <class U = T>
    U* take(size_t n) {
        U* taken = reinterpret_cast<U*>(at_);
        at_ += (n * sizeof(U) + 63) / 64 * 64;
        return taken;
    }
    size_t size() const { return size_t(at_ - begin_); }

  private:
    char *begin_, *at_;
};

// What a layer leaves behind for its gradient; `n` rows of each.
template <class T>
struct LayerMemory {
    T* z = nullptr;           // (n, units) the affine map
    T* normal = nullptr;      // (n, units) normalized, before scale and shift
    T* inverse = nullptr;     // (n,) or, of batches, (units,)
    T* mean = nullptr;        // (units,) of batches
    T* value = nullptr;       // (n, units) what goes into the activation
    T* a = nullptr;           // (n, width) what comes out of it
    T* out = nullptr;         // (n, width) what the layer hands on
    T* above = nullptr;       // (n, width) the gradient of `out`
    T* delta = nullptr;       // (n, units) the gradient of `z`
    T* spare = nullptr;       // (n, width)
    uint8_t* kept = nullptr;  // (n, width) of dropout
    std::vector<T> arguments;
    bool is_batch_normalized = false;
};

template <class T>
class Network : public Batch<T> {
  public:
    using Batch<T>::x, Batch<T>::sparse, Batch<T>::n_rows, Batch<T>::in_training, Batch<T>::y,
        Batch<T>::dropout_seed, Batch<T>::step, Batch<T>::gathered, Batch<T>::gathered_y,
        Batch<T>::row_losses, Batch<T>::row_scales, Batch<T>::has_row_scales, Batch<T>::scale,
        Batch<T>::n_shards, Batch<T>::begin_of, Batch<T>::row_of;

    // Room for `capacity` rows; for gradients where `learns`, by shards.
    Network(const Plan& plan, const T* flat, const Segments* segments, T* buffers, size_t capacity,
            bool learns, bool gathers, size_t n_shards)
        : plan(plan),
          flat(flat),
          segments(segments),
          buffers(buffers),
          memory(plan.layers.size()),
          learns_(learns),
          gathers_(gathers) {
        this->n_shards = n_shards, this->gathered_stride = plan.n_features;
        for (size_t l = 0; l < memory.size(); ++l)
            memory[l].arguments = converted(plan.layers[l].arguments);
        loss_arguments = converted(plan.loss_arguments);
        Arena<T> counted;
        lay_out(counted, capacity);
        block_.reset(static_cast<char*>(::operator new(counted.size() + 64)));
        Arena<T> arena(
            reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(block_.get()) + 63) / 64 * 64));
        lay_out(arena, capacity);
    }

    const Plan& plan;
    const T* flat;
    const Segments* segments;
    T* buffers;
    std::vector<LayerMemory<T>> memory;
    std::vector<T> loss_arguments;

    T* logits() const { return memory.back().z; }
    T* panel(size_t s) const { return panels_ + s * packed_size<T>(); }
    T* rest(size_t s) const { return rests_ + s * rest_stride_; }
    size_t n_rest() const { return plan.n_parameters - plan.n_coefs; }
    const T* input(size_t l) const { return l == 0 ? x : memory[l - 1].out; }

    const T* at(size_t offset) const { return segments ? segments->at<T>(offset) : flat + offset; }
    Matrix<T> weights(const Weights& w) const {  // (fan_in, fan_out)
        return w.is_stored_transposed ? Matrix<T>{at(w.offset), 1, w.fan_in}
                                      : Matrix<T>{at(w.offset), w.fan_out, 1};
    }

    bool normalizes_by_batch(size_t l) const {
        return in_training && n_rows > 1 && memory[l].is_batch_normalized;
    }

    // To be called for each batch, before its shards.
    void begin_batch(size_t n) {
        n_rows = n;
        for (size_t l = 0; l < memory.size(); ++l) {
            if (!memory[l].is_batch_normalized || normalizes_by_batch(l)) continue;
            const Layer& layer = plan.layers[l];
            for (size_t j = 0; j < layer.units(); ++j) {
                memory[l].mean[j] = buffers[layer.mean + j];
                memory[l].inverse[j] =
                    T(1) / std::sqrt(buffers[layer.variance + j] + T(layer.epsilon));
            }
        }
    }

    // Forward over the rows of a shard from layer l on, up to the end or to a layer that needs the
    // statistics of all shards; returns the layer that it stopped at. `resumed`: they are there
    // now.
    size_t forward(size_t s, size_t l, bool resumed) {
        const size_t begin = begin_of(s), end = begin_of(s + 1);
        for (; l < memory.size(); ++l, resumed = false) {
            if (!resumed) {
                affine(s, l, begin, end);
                if (normalizes_by_batch(l)) {
                    const size_t units = plan.layers[l].units();
                    T* moments = moments_ + 2 * s * moments_stride_;
                    moments_of_units(end - begin, units, memory[l].z + begin * units, moments,
                                     moments + moments_stride_);
                    return l;
                }
            }
            if (plan.layers[l].is_hidden) finish(l, begin, end);
        }
        return l;
    }

    // The statistics of a batch from those of its shards, in their order; the running ones move.
    void join(size_t l) {
        const Layer& layer = plan.layers[l];
        LayerMemory<T>& m = memory[l];
        const size_t units = layer.units();
        T* squares = sums_;
        std::fill(squares, squares + units, T(0));
        std::fill(m.mean, m.mean + units, T(0));
        size_t n = 0;
        for (size_t s = 0; s < n_shards; ++s) {
            const size_t more = begin_of(s + 1) - begin_of(s);
            const T* moments = moments_ + 2 * s * moments_stride_;
            if (more)
                join_moments(units, n, more, m.mean, squares, moments, moments + moments_stride_);
            n += more;
        }
        T *mean = buffers + layer.mean, *variance = buffers + layer.variance;
        const T momentum = T(layer.momentum);
        for (size_t j = 0; j < units; ++j) {
            m.inverse[j] = T(1) / std::sqrt(squares[j] / T(n) + T(layer.epsilon));
            mean[j] += momentum * (m.mean[j] - mean[j]);
            variance[j] += momentum * (squares[j] / T(n - 1) - variance[j]);
        }
    }

    // Losses of a shard's rows, and their scaled gradient with respect to the logits.
    double loss(size_t s) {
        const size_t begin = begin_of(s), n = begin_of(s + 1) - begin, k = plan.n_outputs;
        if (n == 0) return 0;
        T *z = logits() + begin * k, *delta = memory.back().delta + begin * k;
        const size_t size = plan.n_targets ? plan.n_targets * sizeof(T) : sizeof(int64_t);
        const void* targets = static_cast<const char*>(y) + begin * size;
        loss_rows<T>(plan.loss, loss_arguments.data(), z, targets, n, k, row_losses + begin);
        loss_gradient<T>(plan.loss, loss_arguments.data(), z, targets, n, k, delta);
        double total = 0;
        if (!has_row_scales) {
            for (size_t i = 0; i < n * k; ++i) delta[i] *= scale;
            for (size_t i = 0; i < n; ++i) total += double(row_losses[begin + i]);
            return total * double(scale);
        }
        for (size_t i = 0; i < n; ++i) {
            const T one = row_scales[begin + i];
            for (size_t j = 0; j < k; ++j) delta[i * k + j] *= one;
            total += double(one) * double(row_losses[begin + i]);
        }
        return total;
    }
    // Backward over the rows of a shard from layer l down, to the first or to a layer whose
    // normalization needs the sums of all shards; returns 0 or that layer + 1.
    size_t backward(size_t s, size_t l, bool resumed) {
        const size_t begin = begin_of(s), end = begin_of(s + 1);
        while (true) {
            if (!resumed && plan.layers[l].is_hidden) {
                pass_down(s, l, begin, end);
                if (normalizes_by_batch(l)) return l + 1;
            }
            if (resumed) through_batch(l, begin, end);
            resumed = false;
            const Layer& layer = plan.layers[l];
            const size_t units = layer.units();
            T* sums = rest(s) + (layer.intercepts - plan.n_coefs);
            add_rows(end - begin, units, memory[l].delta + begin * units, sums);
            if (l == 0) return 0;
            gradient_of_input(s, l, begin, end);
            --l;
        }
    }

    // The gradients of a batch normalization's scale and shift, summed over the shards.
    void join_backward(size_t l) {
        const Layer& layer = plan.layers[l];
        const size_t units = layer.units(), scale = layer.scale - plan.n_coefs,
                     shift = layer.shift - plan.n_coefs;
        std::fill(sums_, sums_ + 2 * moments_stride_, T(0));
        for (size_t s = 0; s < n_shards; ++s) {
            add(units, rest(s) + scale, sums_);
            add(units, rest(s) + shift, sums_ + moments_stride_);
        }
    }

    void clear(size_t s) { std::fill(rest(s), rest(s) + n_rest(), T(0)); }

    // The gradient of rows [from, to) of a matrix as it lies in memory: dL/dW = in^T delta.
    void matrix_gradient(size_t s, size_t l, bool of_projection, size_t from, size_t to,
                         T* gradient, bool adds) {
        const Layer& layer = plan.layers[l];
        const Weights& w = of_projection ? layer.projection : layer.coefs;
        const T* delta = of_projection ? memory[l].above : memory[l].delta;
        const size_t columns = w.columns();
        T* to_rows = gradient + w.offset + from * columns;
        if (l == 0 && sparse) return sparse_gradient(w, delta, from, to, gradient, adds);
        const Matrix<T> in{input(l), w.fan_in, 1}, out{delta, w.fan_out, 1};
        const Matrix<T> left = (w.is_stored_transposed ? out : in).transposed().below(from);
        const Matrix<T> right = w.is_stored_transposed ? in : out;
        product(to - from, columns, n_rows, left, right, to_rows, columns, adds, panel(s));
    }

  private:
    struct Free {
        void operator()(char* block) const { ::operator delete(block); }
    };

    // Arguments, of which there are at least four to read.
    static std::vector<T> converted(const std::vector<double>& values) {
        std::vector<T> all(std::max<size_t>(4, values.size()));
        for (size_t i = 0; i < values.size(); ++i) all[i] = T(values[i]);
        return all;
    }

    void lay_out(Arena<T>& arena, size_t n) {
        size_t widest = 1;
        for (size_t l = 0; l < memory.size(); ++l) {
            const Layer& layer = plan.layers[l];
            LayerMemory<T>& m = memory[l];
            const size_t units = layer.units();
            widest = std::max(widest, units);
            m.z = m.value = m.a = m.out = arena.take(n * units);
            if (learns_) m.delta = m.above = arena.take(n * units);
            if (!layer.is_hidden) continue;
            if (layer.normalization != Normalization::none) {
                m.is_batch_normalized = layer.normalization == Normalization::batch;
                m.normal = arena.take(n * units);
                m.value = m.a = m.out = arena.take(n * units);
                m.inverse = arena.take(m.is_batch_normalized ? units : n);
                m.mean = m.is_batch_normalized ? arena.take(units) : nullptr;
            }
            const bool keeps = layer.activation < 0 || activation_keeps_input<T>(layer.activation);
            if (keeps) m.a = m.out = arena.take(n * layer.width);
            const bool changes = layer.dropout > 0 || layer.skip != Skip::none;
            if (changes && learns_) m.out = arena.take(n * layer.width);
            if (learns_ && (layer.width != units || layer.skip != Skip::none))
                m.above = arena.take(n * layer.width);
            if (learns_ && layer.width != units && layer.skip != Skip::none)
                m.spare = arena.take(n * layer.width);
            if (learns_ && layer.dropout > 0)
                m.kept = arena.template take<uint8_t>(n * layer.width);
        }
        moments_stride_ = (widest + 15) / 16 * 16;
        rest_stride_ = (n_rest() + 15) / 16 * 16;
        panels_ = arena.take(n_shards * packed_size<T>());
        if (gathers_) gathered = arena.take(n * plan.n_features);
        if (!learns_) return;
        gathered_y = arena.template take<char>(n * std::max<size_t>(8, plan.n_targets * sizeof(T)));
        row_losses = arena.take(n);
        row_scales = arena.take(n);
        rests_ = arena.take(n_shards * rest_stride_);
        moments_ = arena.take(2 * n_shards * moments_stride_);
        sums_ = arena.take(2 * moments_stride_);
    }

    void affine(size_t s, size_t l, size_t begin, size_t end) {
        const Layer& layer = plan.layers[l];
        const size_t units = layer.units(), fan_in = layer.coefs.fan_in;
        const T* bias = at(layer.intercepts);
        T* z = memory[l].z + begin * units;
        if (l == 0 && sparse) return sparse_affine(layer.coefs, begin, end, bias, z);
        product(end - begin, units, fan_in, {input(l) + begin * fan_in, fan_in, 1},
                weights(layer.coefs), z, units, false, panel(s), bias);
    }

    // From z to what the layer hands on.
    void finish(size_t l, size_t begin, size_t end) {
        const Layer& layer = plan.layers[l];
        LayerMemory<T>& m = memory[l];
        const size_t units = layer.units(), width = layer.width, n = end - begin;
        T *z = m.z + begin * units, *value = m.value + begin * units, *a = m.a + begin * width,
          *out = m.out + begin * width;
        if (layer.normalization != Normalization::none) {
            T* normal = m.normal + begin * units;
            if (m.is_batch_normalized) {
                normalize_units(n, units, z, m.mean, m.inverse, normal);
            } else {
                const bool centred = layer.normalization == Normalization::layer;
                normalize_rows(n, units, centred, layer.epsilon, z, normal, m.inverse + begin);
            }
            scale_and_shift(n, units, normal, at(layer.scale),
                            layer.shift == kNone ? nullptr : at(layer.shift), value);
        }
        if (layer.activation == kPReLU)
            prelu_forward(value, at(layer.slopes), layer.n_slopes, a, n, width);
        else if (layer.activation == kGLU)
            glu_forward(value, a, n, width);
        else
            activation_forward<T>(layer.activation, m.arguments.data(), value, a, n * width);
        if (layer.dropout > 0 && in_training) {
            const T stretch = T(1 / (1 - layer.dropout));
            for (size_t i = begin; i < end; ++i) {
                uint8_t* kept = m.kept + i * width;
                draw_kept(dropout_seed, step, uint32_t(l), uint32_t(i), layer.dropout, width, kept);
                const T* from = m.a + i * width;
                T* to = m.out + i * width;
                for (size_t j = 0; j < width; ++j) to[j] = from[j] * (T(kept[j]) * stretch);
            }
        } else if (a != out) {
            std::copy(a, a + n * width, out);
        }
        if (layer.skip == Skip::identity) add(n * width, input(l) + begin * width, out);
        if (layer.skip == Skip::projection) {
            const size_t fan_in = layer.coefs.fan_in;
            product(n, width, fan_in, {input(l) + begin * fan_in, fan_in, 1},
                    weights(layer.projection), out, width, true, panel_of(begin));
        }
    }

    // The gradient of what layer l hands on, which lies in `above`, to that of its z; up to a
    // batch normalization, to that of its value.
    void pass_down(size_t s, size_t l, size_t begin, size_t end) {
        const Layer& layer = plan.layers[l];
        LayerMemory<T>& m = memory[l];
        const size_t units = layer.units(), width = layer.width, n = end - begin;
        T *above = m.above + begin * width, *delta = m.delta + begin * units;
        const T *value = m.value + begin * units, *a = m.a + begin * width;
        T* g = above;
        if (layer.skip != Skip::none) {  // which passes on what is above as it is
            g = layer.width == units ? delta : m.spare + begin * width;
            std::copy(above, above + n * width, g);
        }
        if (layer.dropout > 0 && in_training) {
            const T stretch = T(1 / (1 - layer.dropout));
            const uint8_t* kept = m.kept + begin * width;
            for (size_t i = 0; i < n * width; ++i) g[i] *= T(kept[i]) * stretch;
        }
        if (layer.activation == kPReLU)
            prelu_backward(value, at(layer.slopes), layer.n_slopes, g,
                           rest(s) + (layer.slopes - plan.n_coefs), n, width);
        else if (layer.activation == kGLU)
            glu_backward(value, g, delta, n, width);
        else
            activation_backward<T>(layer.activation, m.arguments.data(), value, a, g, n * width);
        if (layer.normalization == Normalization::none) return;
        const T *normal = m.normal + begin * units, *scale = at(layer.scale);
        T* scale_gradient = rest(s) + (layer.scale - plan.n_coefs);
        T* shift_gradient = layer.shift == kNone ? nullptr : rest(s) + (layer.shift - plan.n_coefs);
        if (!m.is_batch_normalized) {
            const bool centred = layer.normalization == Normalization::layer;
            return normalize_rows_backward(n, units, centred, normal, m.inverse + begin, scale,
                                           delta, scale_gradient, shift_gradient);
        }
        normalize_units_backward(n, units, normal, delta, scale_gradient, shift_gradient);
        if (!normalizes_by_batch(l))
            for (size_t i = 0; i < n; ++i)
                for (size_t j = 0; j < units; ++j) delta[i * units + j] *= scale[j] * m.inverse[j];
    }

    // Ioffe & Szegedy 2015, section 3: the gradient through the statistics of the batch.
    void through_batch(size_t l, size_t begin, size_t end) {
        const Layer& layer = plan.layers[l];
        LayerMemory<T>& m = memory[l];
        const size_t units = layer.units();
        const T *scale = at(layer.scale), *along = sums_, *mean = sums_ + moments_stride_;
        const T share = T(1) / T(n_rows);
        for (size_t i = begin; i < end; ++i) {
            T* delta = m.delta + i * units;
            const T* normal = m.normal + i * units;
            for (size_t j = 0; j < units; ++j)
                delta[j] =
                    scale[j] * m.inverse[j] * (delta[j] - share * (mean[j] + normal[j] * along[j]));
        }
    }

    // dL/din = delta W^T, and what the skip passes on.
    void gradient_of_input(size_t s, size_t l, size_t begin, size_t end) {
        const Layer& layer = plan.layers[l];
        const size_t fan_in = layer.coefs.fan_in, units = layer.units(), width = layer.width;
        T* below = memory[l - 1].above + begin * fan_in;
        const T* above = memory[l].above + begin * width;
        product(end - begin, fan_in, units, {memory[l].delta + begin * units, units, 1},
                weights(layer.coefs).transposed(), below, fan_in, false, panel(s));
        if (layer.skip == Skip::identity) add((end - begin) * width, above, below);
        if (layer.skip == Skip::projection)
            product(end - begin, fan_in, width, {above, width, 1},
                    weights(layer.projection).transposed(), below, fan_in, true, panel(s));
    }

    T* panel_of(size_t begin) const {
        size_t s = 0;
        while (s + 1 < n_shards && begin_of(s + 1) <= begin) ++s;
        return panel(s);
    }

    template <class Each>
    void each_value(size_t i, Each&& act) const {
        const int64_t* p = static_cast<const int64_t*>(sparse->indptr);
        const T* values = static_cast<const T*>(sparse->values);
        if (sparse->has_long_indices) {
            const int64_t* column = static_cast<const int64_t*>(sparse->indices);
            for (int64_t q = p[i]; q < p[i + 1]; ++q) act(size_t(column[q]), values[q]);
        } else {
            const int32_t* p = static_cast<const int32_t*>(sparse->indptr);
            const int32_t* column = static_cast<const int32_t*>(sparse->indices);
            for (int32_t q = p[i]; q < p[i + 1]; ++q) act(size_t(column[q]), values[q]);
        }
    }

    void sparse_affine(const Weights& w, size_t begin, size_t end, const T* bias, T* z) const {
        const T* base = at(w.offset);
        const size_t units = w.fan_out;
        for (size_t i = begin; i < end; ++i, z += units) {
            std::copy(bias, bias + units, z);
            each_value(row_of(i), [&](size_t column, T value) {
                if (!w.is_stored_transposed)
                    return add_scaled(units, value, base + column * units, z);
                for (size_t j = 0; j < units; ++j) z[j] += value * base[j * w.fan_in + column];
            });
        }
    }

    void sparse_gradient(const Weights& w, const T* delta, size_t from, size_t to, T* gradient,
                         bool adds) const {
        T* base = gradient + w.offset;
        const size_t units = w.fan_out;
        if (!adds) std::fill(base + from * w.columns(), base + to * w.columns(), T(0));
        for (size_t i = 0; i < n_rows; ++i, delta += units)
            each_value(row_of(i), [&](size_t column, T value) {
                if (w.is_stored_transposed)
                    for (size_t j = from; j < to; ++j)
                        base[j * w.fan_in + column] += value * delta[j];
                else if (column >= from && column < to)
                    add_scaled(units, value, delta, base + column * units);
            });
    }

    const bool learns_, gathers_;
    std::unique_ptr<char, Free> block_;
    size_t moments_stride_ = 0, rest_stride_ = 0;
    T *panels_ = nullptr, *rests_ = nullptr, *moments_ = nullptr, *sums_ = nullptr;
};
