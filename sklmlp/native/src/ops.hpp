// The names of activations and losses, and of their arguments: the one table of C++ and Python.
#pragma once
#include <cstddef>

namespace sklmlp {

// X(name, whether the derivative reads the input, arguments in their order and their defaults)
#define SKLMLP_ACTIVATIONS(X)                     \
    X(identity, false, "")                        \
    X(logistic, false, "")                        \
    X(tanh, false, "")                            \
    X(relu, false, "")                            \
    X(leaky_relu, true, "negative_slope=0.01")    \
    X(relu6, false, "")                           \
    X(elu, true, "alpha=1")                       \
    X(celu, true, "alpha=1")                      \
    X(selu, true, "")                             \
    X(gelu, true, "")                             \
    X(gelu_tanh, true, "")                        \
    X(silu, true, "")                             \
    X(mish, true, "")                             \
    X(hardswish, true, "")                        \
    X(softplus, true, "beta=1,threshold=20")      \
    X(threshold, true, "threshold=0,value=0")     \
    X(hardsigmoid, true, "")                      \
    X(log_sigmoid, true, "")                      \
    X(hardtanh, false, "min_val=-1,max_val=1")    \
    X(softsign, true, "")                         \
    X(tanhshrink, true, "")                       \
    X(softshrink, false, "lambd=0.5")             \
    X(hardshrink, false, "lambd=0.5")

// X(name, whether targets are indices of classes, arguments). `huber` takes a delta for each
// output, `quantiles` a level for each, rising; their one name stands for all of them.
#define SKLMLP_LOSSES(X)                          \
    X(log_loss, true, "label_smoothing=0")        \
    X(binary_log_loss, false, "label_smoothing=0") \
    X(focal, true, "focal_gamma=2")               \
    X(binary_focal, false, "focal_gamma=2")       \
    X(hinge, true, "")                            \
    X(binary_hinge, false, "")                    \
    X(squared_error, false, "")                   \
    X(absolute_error, false, "")                  \
    X(huber, false, "huber_delta=1")              \
    X(poisson, false, "")                         \
    X(gamma, false, "")                           \
    X(quantile, false, "quantile=0.5")            \
    X(quantiles, false, "quantile=0.5")           \
    X(gaussian, false, "")

// X(name): functions of mathematics, and kinds of kernels, that tests call by themselves.
#define SKLMLP_FUNCTIONS(X) \
    X(exp) X(log) X(log1p) X(expm1) X(tanh) X(erf) X(sigmoid) X(softplus) X(log_sigmoid) X(normal_cdf)
#define SKLMLP_KERNELS(X) \
    X(function) X(activation) X(loss) X(both_at_once) X(link) X(glu) X(prelu)

#define SKLMLP_NAME(name, ...) name,
enum class Activation : int { SKLMLP_ACTIVATIONS(SKLMLP_NAME) };
enum class Loss : int { SKLMLP_LOSSES(SKLMLP_NAME) };
enum class Function : int { SKLMLP_FUNCTIONS(SKLMLP_NAME) };
enum class Kernel : int { SKLMLP_KERNELS(SKLMLP_NAME) };
#undef SKLMLP_NAME

// A row of either table; its number is its place.
struct Op {
    const char* name;
    bool flag;  // of an activation keeps_input, of a loss takes_classes
    const char* arguments;
};

#define SKLMLP_ROW(name, flag, arguments) {#name, flag, arguments},
constexpr Op kActivations[] = {SKLMLP_ACTIVATIONS(SKLMLP_ROW)};
constexpr Op kLosses[] = {SKLMLP_LOSSES(SKLMLP_ROW)};
#undef SKLMLP_ROW
#define SKLMLP_TEXT(name) #name,
constexpr const char* kFunctions[] = {SKLMLP_FUNCTIONS(SKLMLP_TEXT)};
constexpr const char* kKernels[] = {SKLMLP_KERNELS(SKLMLP_TEXT)};
#undef SKLMLP_TEXT
constexpr int kFunctionCount = sizeof(kFunctions) / sizeof(char*);
constexpr int kKernelCount = sizeof(kKernels) / sizeof(char*);
constexpr int kActivationCount = sizeof(kActivations) / sizeof(Op);
constexpr int kLossCount = sizeof(kLosses) / sizeof(Op);

// A kernel by itself, with the arrays that kernels.hpp tells of.
struct KernelCall {
    Kernel kind;
    int op;
    size_t n, k;
    void* arrays[5];
};

}  // namespace sklmlp
