// What a network is: shapes, and where its numbers lie in one flat array. Immutable.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops.hpp"

// Where code for more than one instruction set is compiled, to be chosen from at run time.
#if defined(__x86_64__) && defined(__GNUC__)
#define SKLMLP_X86
#endif

namespace sklmlp {

constexpr size_t kNone = static_cast<size_t>(-1);  // an offset of what a layer does not have

enum class Normalization : int { none = 0, batch = 1, layer = 2, rms = 3 };
enum class Skip : int { none = 0, identity = 1, projection = 2 };

// Activations that are not elementwise functions of fixed arguments; the others are those of
// activations.hpp, counted from 0.
constexpr int kPReLU = -1, kGLU = -2;

// A matrix in the flat array: (fan_in, fan_out), or (fan_out, fan_in) if `is_stored_transposed`.
struct Weights {
    size_t offset = kNone, fan_in = 0, fan_out = 0;
    bool is_stored_transposed = false;
    // as they lie in memory
    size_t rows() const { return is_stored_transposed ? fan_out : fan_in; }
    size_t columns() const { return is_stored_transposed ? fan_in : fan_out; }
    size_t size() const { return fan_in * fan_out; }
};

// out = dropout(activation(normalization(in W + b))) + skip(in); the last layer is `in W + b`.
struct Layer {
    Weights coefs, projection;
    size_t intercepts = kNone;
    size_t width = 0;  // units that it hands on
    bool is_hidden = true;
    int activation = 0;
    std::vector<double> arguments;
    size_t slopes = kNone, n_slopes = 0;
    Normalization normalization = Normalization::none;
    double epsilon = 0, momentum = 0;
    size_t scale = kNone, shift = kNone;    // of the normalization, in the flat array
    size_t mean = kNone, variance = kNone;  // running ones, in the array of buffers
    double dropout = 0;
    Skip skip = Skip::none;
    size_t scales_in = kNone, scales_out = kNone;  // of members: (k, fan_in), (k, fan_out)
    size_t units() const { return coefs.fan_out; }  // that go into the activation
};

// How predictions of members become one; see `sklmlp.nn.tied.AVERAGES`.
enum class Average : int { identity = 0, softmax = 1, logistic = 2, exp = 3, gaussian = 4 };

// Piecewise-linear embeddings of the first columns: of a number x, x weight + bias + P(x) bins,
// where component t of P rises from 0 at the left edge of bin t to 1 at the right one. The last
// columns are codes of categories, whose levels have a vector each.
struct Front {
    size_t n_numbers = 0, n_bins = 0, size = 0, n_categories = 0, n_levels = 0;
    size_t weight = kNone, bias = kNone, bins = kNone;  // (F, size) twice, (F, n_bins, size)
    size_t vectors = kNone;                             // (n_levels, size)
    size_t left = kNone, per_width = kNone;  // (F, n_bins) in the array of buffers; 0: no bin
    size_t first = kNone;  // (n_categories + 1,) there: the level that each begins with, n_levels
    size_t width_of_numbers() const { return n_numbers * size; }
    size_t width() const { return width_of_numbers() + n_categories * size; }
};

// A network. One with members is k of them over one front, which hand embeddings and columns on:
//
//     h <- dropout(relu((h * scales_in) W * scales_out + b)),   logits = h W_member + b
//
// The W of hidden layers is the same for all members; what else is theirs lies one member after
// the other.
struct Plan {
    bool is_double = false;
    size_t n_features = 0, n_outputs = 0, n_targets = 0;  // targets a row, 0: the index of a class
    size_t n_parameters = 0, n_coefs = 0, n_buffers = 0;
    int loss = 0;
    std::vector<double> loss_arguments;
    std::vector<Layer> layers;
    size_t n_members = 0;  // 0: a network without such
    Average average = Average::identity;
    Front front;

    void check() const;
    void check_members() const;
    size_t width_in() const { return row_in() - front.n_categories; }  // of the first layer
    size_t row_in() const { return front.width() + n_features; }       // and codes behind it
    double multiplications() const;  // of one row, forward
    bool has_batch_normalization() const;
};

enum class Solver : int { sgd = 0, adam = 1, adamw = 2, muon = 3 };

// Neighbouring numbers that Muon turns as a matrix; or that Adam updates, which has no columns.
struct Part {
    size_t offset, rows, columns;
    double factor;  // of the learning rate
    bool is_matrix() const { return columns > 0; }
    size_t size() const { return is_matrix() ? rows * columns : rows; }
};

struct Options {
    Solver solver = Solver::adam;
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8, weight_decay = 0;
    double momentum = 0;
    bool nesterov = false;
    double alpha = 0, max_grad_norm = 0;          // 0: no bound
    double power_t = -1, learning_rate_init = 0;  // negative: the rate stays as it is
    std::vector<Part> parts;                      // of Muon: all numbers, one part after the other
};

// Rows: dense, or CSR where `indptr` is given.
struct Rows {
    size_t n = 0;
    const void* dense = nullptr;
    size_t row_stride = 0, column_stride = 1;  // of dense rows, in values
    const void* values = nullptr;
    const void *indptr = nullptr, *indices = nullptr;
    bool has_long_indices = false;
    const void* y = nullptr;
    const double* weight = nullptr;
    bool is_sparse() const { return indptr != nullptr; }
    bool is_contiguous(size_t width) const {
        return row_stride == width && (column_stride == 1 || width <= 1);
    }

    // Copy a dense row to where its values lie side by side.
    template <class T>
    void copy(size_t row, size_t width, T* to) const {
        const T* from = static_cast<const T*>(dense) + row * row_stride;
        if (column_stride == 1)
            std::copy(from, from + width, to);
        else
            for (size_t j = 0; j < width; ++j) to[j] = from[j * column_stride];
    }
};

// NumPy's interface to a bit generator (numpy/random/bitgen.h).
struct BitGenerator {
    void* state;
    uint64_t (*next_uint64)(void*);
    uint32_t (*next_uint32)(void*);
    double (*next_double)(void*);
    uint64_t (*next_raw)(void*);
};

enum class Reason : int { epochs = 0, seconds = 1, converged = 2, not_finite = 3, stopped = 4 };

// What a block of epochs reads and changes.
struct Training {
    const Plan* plan;
    Options options;
    Rows rows;
    size_t n = 0, batch_size = 0, n_shards = 1, n_threads = 1;
    int64_t* order = nullptr;           // (n,), or null: rows as they lie
    BitGenerator* generator = nullptr;  // null: no shuffle
    uint64_t dropout_seed = 0;
    double dropout = -1;            // of members, in place of the layers'; negative: as they say
    const double* rates = nullptr;  // (max_epochs * batches), or null
    void *flat, *first_moment = nullptr, *second_moment = nullptr, *buffers = nullptr;
    // the state
    int64_t t = 0;
    double learning_rate = 0, best_loss = 0;
    int64_t no_improvement = 0, n_rows_seen = 0, n_batch_normalizations = 0;
    // limits
    size_t max_epochs = 1;
    double max_seconds = 0.05, tol = 0;
    int64_t n_iter_no_change = -1;  // negative: the training loss does not decide
    const volatile unsigned char* stop = nullptr;
    bool (*is_interrupted)() = nullptr;  // asked every `max_seconds`, in the caller's thread
    // outcome
    double *losses, *seconds, *used_rates;
    size_t n_epochs = 0;
    Reason reason = Reason::epochs;
};

// The learned numbers of a plan in several places: from `begins[k]` on they lie at `data[k]`.
struct Segments {
    std::vector<size_t> begins;
    std::vector<const void*> data;

    template <class T>
    const T* at(size_t offset) const {
        const size_t k =
            size_t(std::upper_bound(begins.begin(), begins.end(), offset) - begins.begin()) - 1;
        return static_cast<const T*>(data[k]) + (offset - begins[k]);
    }
};

struct Forward {
    const Plan* plan;
    const void *flat, *buffers = nullptr;
    const Segments* segments = nullptr;  // in place of `flat`
    Rows rows;
    void* out;
    size_t n_threads = 1;
};

struct Gradient {
    const Plan* plan;
    const void* flat;
    Rows rows;
    void* gradient;
    size_t n_threads = 1;
    double loss = 0;  // sum of weight times loss
};

// What each instruction set's translation unit offers.
struct Engine {
    void (*train[2])(Training&);  // float, double
    void (*forward[2])(const Forward&);
    void (*gradient[2])(Gradient&);
    void (*kernel[2])(const KernelCall&);  // for tests
};

extern const Engine baseline_engine, avx2_engine, avx512_engine;

void shuffle(BitGenerator& generator, int64_t* values, size_t n);

}  // namespace sklmlp
