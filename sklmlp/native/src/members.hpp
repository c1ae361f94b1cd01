// A network with members over some rows: forward and backward, shard by shard. Included as
// `simd.hpp` is.
//
// A member's matrix W_i = diag(scales_in) W diag(scales_out) is made while W is packed for a
// product, and never lies in memory. The gradient A_i of W_i is pulled back to what it is made of:
//
//     dW = sum_i scales_in scales_out^T * A_i,
//     dscales_in = (A_i * W) scales_out,   dscales_out = (A_i * W)^T scales_in
//
// (products with * are elementwise). These are passes over matrices, where scaling what goes in and
// comes out would take as many, and more of them, over the rows of all members. A shard sums up
// the gradient of its rows. One member after the other goes forward and backward, in memory that
// stays in the cache.
#pragma once

template <class T>
class Members : public Batch<T> {
  public:
    using Batch<T>::n_rows, Batch<T>::y, Batch<T>::row_losses, Batch<T>::row_scales,
        Batch<T>::has_row_scales, Batch<T>::scale, Batch<T>::n_shards, Batch<T>::begin_of,
        Batch<T>::gathered, Batch<T>::gathered_stride;

    // Room for `capacity` rows; for gradients where `learns`, by shards.
    Members(const Plan& plan, const T* flat, const Segments* segments, const T* buffers,
            size_t capacity, bool learns, size_t n_shards)
        : plan(plan),
          flat(flat),
          segments(segments),
          front_(plan.front, buffers),
          levels_(plan.front, buffers),
          layers_(plan.layers.size()),
          loss_arguments_(std::max<size_t>(4, plan.loss_arguments.size())),
          capacity_(capacity),
          learns_(learns) {
        this->n_shards = n_shards;
        std::copy(plan.loss_arguments.begin(), plan.loss_arguments.end(), loss_arguments_.begin());
        for (size_t l = 0; l < n_hidden(); ++l) layers_[l].dropout = plan.layers[l].dropout;
        Arena<T> counted;
        lay_out(counted);
        block_.reset(static_cast<char*>(::operator new(counted.size() + 64)));
        Arena<T> arena(
            reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(block_.get()) + 63) / 64 * 64));
        lay_out(arena);
        gathered = inputs_ + plan.front.width(), gathered_stride = stride_of(plan.row_in());
        for (size_t l = 0; learns && l < n_hidden(); ++l)
            transpose(l, 0, plan.layers[l].coefs.fan_in);
    }

    const Plan& plan;
    const T* flat;
    const Segments* segments;

    size_t n_hidden() const { return layers_.size() - 1; }
    T* gradient(size_t s) const { return gradients_ + s * gradient_stride_; }
    const T* at(size_t offset) const { return segments ? segments->at<T>(offset) : flat + offset; }
    void set_dropout(double rate) {
        for (size_t l = 0; l < n_hidden(); ++l) layers_[l].dropout = rate;
    }

    // Averaged logits of the rows that were gathered, in one shard.
    void predict(size_t n, T* out) {
        n_rows = n;
        if (plan.front.n_numbers) front_.sum_bins(at(plan.front.bins), sums_);
        embed(0);
        if (is_stacked())
            forward_stacked();
        else
            for (size_t i = 0; i < plan.n_members; ++i) forward(0, i, false);
        average_members(plan.average, logits_, capacity_ * plan.n_outputs, plan.n_members, n,
                        plan.n_outputs, buffers_, out);
    }

    // Forward, loss and backward of a shard's rows; returns the sum of scaled losses.
    double propagate(size_t s) {
        std::fill(gradient(s), gradient(s) + plan.n_parameters, T(0));
        const size_t begin = begin_of(s), n = begin_of(s + 1) - begin, k = plan.n_outputs;
        if (n == 0) return 0;
        if (plan.front.n_numbers)
            front_.sum_bins(at(plan.front.bins), sums_ + s * front_.n_sums());
        embed(s);
        const size_t size = plan.n_targets ? plan.n_targets * sizeof(T) : sizeof(int64_t);
        const void* targets = static_cast<const char*>(y) + begin * size;
        const T share = T(1) / T(plan.n_members);
        for (size_t i = 0; i < plan.n_members; ++i) {
            forward(s, i, true);
            T* delta = layers_.back().delta + begin * k;
            loss_gradient<T>(plan.loss, loss_arguments_.data(), logits(i) + begin * k, targets, n,
                             k, delta);
            for (size_t row = 0; row < n; ++row)
                for (size_t j = 0; j < k; ++j) delta[row * k + j] *= scale_of(begin + row) * share;
            backward(s, i);
        }
        if (plan.front.width()) pull_front(s);
        T* mean = averaged_ + begin * k;
        average_members(plan.average, logits_ + begin * k, capacity_ * k, plan.n_members, n, k,
                        buffers_ + s * average_buffer(plan.n_members, k), mean);
        loss_rows<T>(plan.loss, loss_arguments_.data(), mean, targets, n, k, row_losses + begin);
        double total = 0;
        for (size_t row = begin; row < begin + n; ++row)
            total += double(scale_of(row)) * double(row_losses[row]);
        return total;
    }

    // Rows [from, to) of a layer's matrix have moved: what of it is kept transposed follows.
    void transpose(size_t l, size_t from, size_t to) {
        const size_t units = plan.layers[l].units(), stride = stride_of(fan_in_back(l));
        const T* w = at(plan.layers[l].coefs.offset);
        to = std::min(to, fan_in_back(l));
        for (size_t j = 0; j < units; ++j)
            for (size_t p = from; p < to; ++p)
                layers_[l].transposed[j * stride + p] = w[p * units + j];
    }

  private:
    // Of a layer; of rows alone, as members take turns.
    struct LayerMemory {
        T* h = nullptr;           // (n, units) what it hands on
        T* delta = nullptr;       // (n, units) the gradient of h, then that of the affine map
        T* transposed = nullptr;  // (units, fan_in) the matrix once more
        double dropout = 0;
    };
    struct Free {
        void operator()(char* block) const { ::operator delete(block); }
    };

    // Rows begin at whole lines, and those of a column do not all compete for the same ones.
    static size_t stride_of(size_t width) {
        const size_t lines = (width * sizeof(T) + 63) / 64;
        return (lines % 8 ? lines : lines + 1) * 64 / sizeof(T);
    }

    // The units below a layer that learn of its gradient: of the first, the embeddings.
    size_t fan_in_back(size_t l) const {
        return l ? plan.layers[l].coefs.fan_in : plan.front.width();
    }

    T scale_of(size_t row) const { return has_row_scales ? row_scales[row] : scale; }
    T* logits(size_t i) const { return logits_ + i * capacity_ * plan.n_outputs; }
    T* panel(size_t s) const { return panels_ + s * packed_size<T>(); }
    const T* input(size_t l) const { return l ? layers_[l - 1].h : inputs_; }
    size_t stride_in(size_t l) const {
        return stride_of(l ? plan.layers[l].coefs.fan_in : plan.row_in());
    }
    Scales<T> scales(size_t l, size_t i) const {
        const Layer& layer = plan.layers[l];
        return {at(layer.scales_in) + i * layer.coefs.fan_in,
                at(layer.scales_out) + i * layer.units()};
    }

    // Whether there are so few rows that all members go forward at once.
    bool is_stacked() const { return !learns_ && capacity_ * plan.n_members <= kStacked; }

    void lay_out(Arena<T>& arena) {
        const size_t n = capacity_, k = plan.n_members, n_outputs = plan.n_outputs;
        inputs_ = arena.take(n * stride_of(plan.row_in()));
        logits_ = arena.take(k * n * n_outputs);
        places_ = arena.template take<Place<T>>(n * plan.front.n_numbers);
        sums_ = arena.take(n_shards * front_.n_sums());
        panels_ = arena.take(n_shards * packed_size<T>());
        buffers_ = arena.take(n_shards * average_buffer(k, n_outputs));
        size_t widest = plan.row_in();
        scratch_size_ = 0;
        for (size_t l = 0; l < n_hidden(); ++l) {
            const size_t units = plan.layers[l].units(), fan_in = plan.layers[l].coefs.fan_in;
            widest = std::max(widest, units);
            layers_[l].h = arena.take(n * stride_of(units));
            if (!learns_) continue;
            layers_[l].delta = arena.take(n * stride_of(units));
            layers_[l].transposed = arena.take(units * stride_of(fan_in_back(l)));
            scratch_size_ = std::max(scratch_size_, fan_in * stride_of(units));
        }
        for (T*& rows : stacked_)
            if (is_stacked()) rows = arena.take(n * k * stride_of(widest));
        if (!learns_) return;
        layers_.back().delta = arena.take(n * n_outputs);
        delta_inputs_ = arena.take(n * stride_of(plan.front.width()));
        averaged_ = arena.take(n * n_outputs);
        this->gathered_y =
            arena.template take<char>(n * std::max<size_t>(8, plan.n_targets * sizeof(T)));
        row_losses = arena.take(n), row_scales = arena.take(n);
        gradient_stride_ = (plan.n_parameters + 15) / 16 * 16;
        gradients_ = arena.take(n_shards * gradient_stride_);
        scratch_ = arena.take(n_shards * scratch_size_);
        sums_back_ = arena.take(n_shards * front_.n_sums());
        kept_stride_ = (widest + 63) / 64 * 64;
        kept_ = arena.template take<uint8_t>(n_shards * kept_stride_);
    }

    void embed(size_t s) {
        const Front& front = plan.front;
        const size_t stride = gathered_stride;
        if (front.n_categories)
            for (size_t i = begin_of(s); i < begin_of(s + 1); ++i)
                levels_.embed(codes(i), at(front.vectors),
                              inputs_ + i * stride + front.width_of_numbers());
        if (front.n_numbers == 0) return;
        const T *weight = at(front.weight), *bias = at(front.bias), *bins = at(front.bins);
        const T* sums = sums_ + s * front_.n_sums();
        for (size_t i = begin_of(s); i < begin_of(s + 1); ++i)
            front_.embed(gathered + i * stride, weight, bias, bins, sums, inputs_ + i * stride,
                         places_ + i * front.n_numbers);
    }

    // The codes of a row, which stand behind what goes into the first layer.
    const T* codes(size_t i) const { return inputs_ + i * gathered_stride + plan.width_in(); }

    void pull_front(size_t s) {
        const Front& front = plan.front;
        T *g = gradient(s), *sums = sums_back_ + s * front_.n_sums();
        const size_t stride = stride_of(front.width());
        if (front.n_categories)
            for (size_t i = begin_of(s); i < begin_of(s + 1); ++i)
                levels_.pull(codes(i), delta_inputs_ + i * stride + front.width_of_numbers(),
                             g + front.vectors);
        if (front.n_numbers == 0) return;
        std::fill(sums, sums + front_.n_sums(), T(0));
        for (size_t i = begin_of(s); i < begin_of(s + 1); ++i)
            front_.pull(gathered + i * gathered_stride, places_ + i * front.n_numbers,
                        delta_inputs_ + i * stride, g + front.weight, g + front.bias,
                        g + front.bins, sums);
        front_.finish(g + front.bins, sums);
    }

    // A member's logits of a shard's rows.
    void forward(size_t s, size_t i, bool drops) {
        const size_t begin = begin_of(s), n = begin_of(s + 1) - begin;
        for (size_t l = 0; l < layers_.size(); ++l) {
            const Layer& layer = plan.layers[l];
            const size_t units = layer.units(), fan_in = layer.coefs.fan_in, stride = stride_in(l);
            const Matrix<T> in{input(l) + begin * stride, stride, 1};
            const T *w = at(layer.coefs.offset), *bias = at(layer.intercepts) + i * units;
            if (!layer.is_hidden)
                return product(n, units, fan_in, in, {w + i * layer.coefs.size(), units, 1},
                               logits(i) + begin * units, units, false, panel(s), bias);
            product(n, units, fan_in, in, {w, units, 1}, layers_[l].h + begin * stride_of(units),
                    stride_of(units), false, panel(s), bias, scales(l, i));
            activate(s, l, i, drops ? layers_[l].dropout : 0);
        }
    }

    // The logits of few rows by all members: a matrix is read once, and what goes in and comes out is
    // scaled in its place.
    void forward_stacked() {
        const size_t k = plan.n_members, n = n_rows;
        T *h = stacked_[0], *next = stacked_[1];
        size_t stride = gathered_stride;
        for (size_t q = 0; q < k * n; ++q)
            std::copy(inputs_ + q % n * stride, inputs_ + (q % n + 1) * stride, h + q * stride);
        for (size_t l = 0; l < n_hidden(); ++l, std::swap(h, next)) {
            const Layer& layer = plan.layers[l];
            const size_t units = layer.units(), fan_in = layer.coefs.fan_in, out = stride_of(units);
            const T* bias = at(layer.intercepts);
            for (size_t q = 0; q < k * n; ++q) {
                const T* by = scales(l, q / n).rows;
                for (size_t j = 0; j < fan_in; ++j) h[q * stride + j] *= by[j];
            }
            product(k * n, units, fan_in, {h, stride, 1}, {at(layer.coefs.offset), units, 1}, next,
                    out, false, panel(0));
            for (size_t q = 0; q < k * n; ++q) {
                const T *by = scales(l, q / n).columns, *b = bias + q / n * units;
                T* row = next + q * out;
                for (size_t j = 0; j < units; ++j) {
                    const T z = row[j] * by[j] + b[j];
                    row[j] = z < 0 ? T(0) : z;
                }
            }
            stride = out;
        }
        const Layer& last = plan.layers.back();
        for (size_t i = 0; i < k; ++i)
            product(n, last.units(), last.coefs.fan_in, {h + i * n * stride, stride, 1},
                    {at(last.coefs.offset) + i * last.coefs.size(), last.units(), 1}, logits(i),
                    last.units(), false, panel(0), at(last.intercepts) + i * last.units());
    }

    // ReLU and dropout, whose random numbers are those of layer l k + i.
    void activate(size_t s, size_t l, size_t i, double dropout) {
        const size_t units = plan.layers[l].units(), stride = stride_of(units);
        uint8_t* kept = kept_ + s * kept_stride_;
        const T stretch = T(1 / (1 - dropout));
        for (size_t row = begin_of(s); row < begin_of(s + 1); ++row) {
            T* h = layers_[l].h + row * stride;
            if (dropout == 0) {
                for (size_t j = 0; j < units; ++j) h[j] = h[j] < 0 ? T(0) : h[j];
                continue;
            }
            draw_kept(this->dropout_seed, this->step, uint32_t(l * plan.n_members + i),
                      uint32_t(row), dropout, units, kept);
            for (size_t j = 0; j < units; ++j)
                h[j] = (h[j] < 0 ? T(0) : h[j]) * (T(kept[j]) * stretch);
        }
    }

    // From the gradient of a member's logits to those of what it is made of, and of its inputs.
    void backward(size_t s, size_t i) {
        const size_t begin = begin_of(s), n = begin_of(s + 1) - begin;
        T* g = gradient(s);
        for (size_t l = layers_.size(); l-- > 0;) {
            const Layer& layer = plan.layers[l];
            const size_t units = layer.units(), fan_in = layer.coefs.fan_in, stride = stride_in(l),
                         out = layer.is_hidden ? stride_of(units) : units;
            T* delta = layers_[l].delta + begin * out;
            const Matrix<T> in{input(l) + begin * stride, 1, stride}, d{delta, out, 1};
            pass_down(s, l, g + layer.intercepts + i * units);
            if (layer.is_hidden) {
                T* a = scratch_ + s * scratch_size_;
                product(fan_in, units, n, in, d, a, out, false, panel(s));
                pull_back(l, i, a, out, g);
            } else {
                product(fan_in, units, n, in, d, g + layer.coefs.offset + i * layer.coefs.size(),
                        units, false, panel(s));
            }
            const size_t below = fan_in_back(l);
            if (below == 0) return;
            T* to = l ? layers_[l - 1].delta : delta_inputs_;
            to += begin * stride_of(below);
            const bool adds = l == 0 && i > 0;
            if (layer.is_hidden) {
                const T* no_bias = nullptr;
                product(n, below, units, d, {layers_[l].transposed, stride_of(below), 1}, to,
                        stride_of(below), adds, panel(s), no_bias, scales(l, i).transposed());
            } else {
                const T* w = at(layer.coefs.offset) + i * layer.coefs.size();
                product(n, below, units, d, {w, 1, units}, to, stride_of(below), adds, panel(s));
            }
        }
    }

    // Through dropout and ReLU, which both leave 0 where nothing passes; and the gradient of biases.
    void pass_down(size_t s, size_t l, T* sums) {
        const bool is_hidden = plan.layers[l].is_hidden;
        const size_t units = plan.layers[l].units(), stride = is_hidden ? stride_of(units) : units;
        const T stretch = T(1 / (1 - layers_[l].dropout));
        for (size_t row = begin_of(s); row < begin_of(s + 1); ++row) {
            T* delta = layers_[l].delta + row * stride;
            const T* h = layers_[l].h + row * stride;
            for (size_t j = 0; is_hidden && j < units; ++j)
                delta[j] = h[j] <= 0 ? T(0) : delta[j] * stretch;
            add(units, delta, sums);
        }
    }

    // From the gradient `a` of a member's matrix to those of W and of the scales.
    void pull_back(size_t l, size_t i, const T* a, size_t stride, T* g) const {
        using S = Simd<T>;
        const Layer& layer = plan.layers[l];
        const size_t units = layer.units(), fan_in = layer.coefs.fan_in;
        const Scales<T> by = scales(l, i);
        const T* w = at(layer.coefs.offset);
        T *of_w = g + layer.coefs.offset, *of_rows = g + layer.scales_in + i * fan_in,
          *of_columns = g + layer.scales_out + i * units;
        for (size_t p = 0; p < fan_in; ++p, a += stride, w += units, of_w += units) {
            const T row = by.rows[p];
            typename S::Vector total = {};
            for (size_t j = 0; j < units; j += S::lanes) {
                const size_t n = units - j;
                const auto slope = S::load_up_to(a + j, n), both = slope * S::load_up_to(w + j, n),
                           column = S::load_up_to(by.columns + j, n);
                total += both * column;
                S::store_up_to(of_columns + j, S::load_up_to(of_columns + j, n) + both * row, n);
                S::store_up_to(of_w + j, S::load_up_to(of_w + j, n) + slope * (column * row), n);
            }
            of_rows[p] += S::total(total);
        }
    }

    PiecewiseFront<T> front_;
    LevelVectors<T> levels_;
    std::vector<LayerMemory> layers_;
    std::vector<T> loss_arguments_;
    const size_t capacity_;
    const bool learns_;
    std::unique_ptr<char, Free> block_;
    size_t gradient_stride_ = 0, scratch_size_ = 0, kept_stride_ = 0;
    T *inputs_ = nullptr, *delta_inputs_ = nullptr;  // (n, row_in), and of the embeddings
    T *logits_ = nullptr, *averaged_ = nullptr;      // (k, n, n_outputs), (n, n_outputs)
    static constexpr size_t kStacked = 64;  // rows of all members
    T* stacked_[2] = {};                    // (k, n, the widest layer)
    T *panels_ = nullptr, *buffers_ = nullptr, *gradients_ = nullptr, *scratch_ = nullptr;
    T *sums_ = nullptr, *sums_back_ = nullptr;  // (F, n_bins, size) of each shard
    Place<T>* places_ = nullptr;                // (n, F)
    uint8_t* kept_ = nullptr;
};
