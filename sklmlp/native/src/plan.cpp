#include "plan.hpp"

namespace sklmlp {

namespace {

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

// Whether `n` values from an offset on lie within [first, last).
void require_range(size_t offset, size_t n, size_t first, size_t last, const std::string& name) {
    require(offset != kNone && offset >= first && offset <= last && n <= last - offset,
            name + " lies outside of its array: " + std::to_string(n) + " values from " +
                (offset == kNone ? "nowhere" : std::to_string(offset)) + " on, in [" +
                std::to_string(first) + ", " + std::to_string(last) + ")");
}

// Arguments of an entry of a table; of those losses that have one for each output, that many.
size_t n_arguments(const Op& op) {
    size_t n = 0;
    for (const char* c = op.arguments; *c; ++c) n += *c == '=';
    return n;
}

constexpr size_t kMost = size_t(1) << 31;  // units of a layer; products of two fit

}  // namespace

void Plan::check() const {
    require(!layers.empty() && !layers.back().is_hidden, "the last layer is no output layer");
    require(n_features > 0 && n_features < kMost && n_outputs > 0 && n_targets < kMost,
            "a network has features and outputs");
    require(n_coefs <= n_parameters, "n_coefs is greater than n_parameters");
    require(layers.back().width == n_outputs, "the last layer has not n_outputs units");
    require(loss >= 0 && loss < kLossCount, "unknown loss");
    const Loss kind = Loss(loss);
    const bool by_output = kind == Loss::huber || kind == Loss::quantiles;
    require(loss_arguments.size() == (by_output ? n_outputs : n_arguments(kLosses[loss])),
            "wrong number of loss_arguments");
    const size_t targets = kLosses[loss].flag        ? 0
                           : kind == Loss::quantiles ? 1
                           : kind == Loss::gaussian  ? n_outputs / 2
                                                     : n_outputs;
    require(n_targets == targets && (kind != Loss::gaussian || n_outputs % 2 == 0),
            "n_targets does not fit the loss");
    if (n_members) return check_members();
    size_t width = n_features;
    for (size_t l = 0; l < layers.size(); ++l) {
        const Layer& layer = layers[l];
        const std::string name = "layer " + std::to_string(l) + ": ";
        const size_t units = layer.units();
        require(layer.is_hidden == (l + 1 < layers.size()),
                name + "only the last layer is an output layer");
        require(layer.width > 0 && layer.width < kMost && units < kMost,
                name + "a layer has units");
        require(layer.coefs.fan_in == width, name + "fan_in is " +
                                                 std::to_string(layer.coefs.fan_in) +
                                                 ", expected " + std::to_string(width));
        require(units == layer.width * (layer.activation == kGLU && layer.is_hidden ? 2 : 1),
                name + "units do not fit width");
        require_range(layer.coefs.offset, layer.coefs.size(), 0, n_coefs, name + "coefs");
        require_range(layer.intercepts, units, n_coefs, n_parameters, name + "intercepts");
        if (layer.is_hidden) {
            require(layer.activation >= kGLU && layer.activation < kActivationCount,
                    name + "unknown activation");
            const size_t n = layer.activation < 0 ? 0 : n_arguments(kActivations[layer.activation]);
            require(layer.arguments.size() == n, name + "wrong number of arguments");
            if (layer.activation == kPReLU) {
                require(layer.n_slopes == 1 || layer.n_slopes == units,
                        name + "n_slopes is neither 1 nor the number of units");
                require_range(layer.slopes, layer.n_slopes, n_coefs, n_parameters, name + "slopes");
            }
            if (layer.normalization != Normalization::none) {
                require_range(layer.scale, units, n_coefs, n_parameters, name + "scale");
                if (layer.normalization != Normalization::rms)
                    require_range(layer.shift, units, n_coefs, n_parameters, name + "shift");
                else
                    require(layer.shift == kNone, name + "RMS normalization has no shift");
            }
            if (layer.normalization == Normalization::batch) {
                require_range(layer.mean, units, 0, n_buffers, name + "mean");
                require_range(layer.variance, units, 0, n_buffers, name + "variance");
            }
            require(layer.dropout >= 0 && layer.dropout < 1, name + "dropout is not in [0, 1)");
            if (layer.skip == Skip::identity)
                require(width == layer.width, name + "an identity skip keeps the width");
            if (layer.skip == Skip::projection) {
                require(layer.projection.fan_in == width && layer.projection.fan_out == layer.width,
                        name + "projection has another shape");
                require_range(layer.projection.offset, layer.projection.size(), 0, n_coefs,
                              name + "projection");
            }
        }
        width = layer.width;
    }
}

void Plan::check_members() const {
    const auto require_learned = [&](size_t offset, size_t n, const std::string& name) {
        require_range(offset, n, 0, n_parameters, name);
    };
    require(n_members < kMost && int(average) >= 0 && int(average) <= int(Average::gaussian),
            "unknown average");
    require(average != Average::gaussian || n_outputs % 2 == 0, "average does not fit n_outputs");
    const size_t n = front.n_numbers, n_bins = n * front.n_bins;
    require(n <= n_features && front.n_categories <= n_features - n && front.n_bins < kMost &&
                front.size < kMost,
            "the front has more numbers and categories than there are features");
    if (n) {
        require(front.n_bins > 0 && front.size > 0, "the front has bins and a size");
        require_learned(front.weight, front.width_of_numbers(), "front: weight");
        require_learned(front.bias, front.width_of_numbers(), "front: bias");
        require_learned(front.bins, n_bins * front.size, "front: bins");
        require_range(front.left, n_bins, 0, n_buffers, "front: left");
        require_range(front.per_width, n_bins, 0, n_buffers, "front: per_width");
    }
    if (front.n_categories) {
        require(front.size > 0 && front.n_levels < kMost, "the front has levels and a size");
        require_learned(front.vectors, front.n_levels * front.size, "front: vectors");
        require_range(front.first, front.n_categories + 1, 0, n_buffers, "front: first");
    }
    size_t width = width_in();
    for (size_t l = 0; l < layers.size(); ++l) {
        const Layer& layer = layers[l];
        const std::string name = "layer " + std::to_string(l) + ": ";
        const size_t units = layer.units();
        require(layer.is_hidden == (l + 1 < layers.size()),
                name + "only the last layer is an output layer");
        require(units > 0 && units < kMost && layer.width == units, name + "units do not fit width");
        require(layer.coefs.fan_in == width && !layer.coefs.is_stored_transposed,
                name + "fan_in is " + std::to_string(layer.coefs.fan_in) + ", expected " +
                    std::to_string(width));
        require_learned(layer.intercepts, n_members * units, name + "intercepts");
        require_learned(layer.coefs.offset, layer.coefs.size() * (layer.is_hidden ? 1 : n_members),
                        name + "coefs");
        if (layer.is_hidden) {
            require(layer.activation == int(Activation::relu) && layer.skip == Skip::none &&
                        layer.normalization == Normalization::none,
                    name + "members have ReLU, and neither skip nor normalization");
            require(layer.dropout >= 0 && layer.dropout < 1, name + "dropout is not in [0, 1)");
            require_learned(layer.scales_in, n_members * width, name + "scales_in");
            require_learned(layer.scales_out, n_members * units, name + "scales_out");
        }
        width = units;
    }
}

double Plan::multiplications() const {
    double total = 0;
    for (const Layer& layer : layers)
        total += double(layer.coefs.size()) +
                 (layer.skip == Skip::projection ? double(layer.projection.size()) : 0);
    return total * double(std::max<size_t>(1, n_members));
}

bool Plan::has_batch_normalization() const {
    for (const Layer& layer : layers)
        if (layer.normalization == Normalization::batch) return true;
    return false;
}

// RandomState.shuffle's Fisher & Yates, with its masked rejection (numpy/random/mtrand.pyx and
// random_interval in src/distributions/distributions.c).
void shuffle(BitGenerator& generator, int64_t* values, size_t n) {
    for (uint64_t i = n - 1; n > 0 && i > 0; --i) {
        uint64_t mask = i;
        for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
        uint64_t j;
        do {
            j = mask & (i <= 0xffffffffu ? uint64_t(generator.next_uint32(generator.state))
                                         : generator.next_uint64(generator.state));
        } while (j > i);
        std::swap(values[i], values[j]);
    }
}

}  // namespace sklmlp
