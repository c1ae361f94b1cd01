#include "headers.hpp"
namespace sklmlp {
namespace baseline {
#include "engine.hpp"
}
const Engine baseline_engine = {{baseline::train<float>, baseline::train<double>},
                                {baseline::forward<float>, baseline::forward<double>},
                                {baseline::gradient<float>, baseline::gradient<double>},
                                {baseline::kernel<float>, baseline::kernel<double>}};
}  // namespace sklmlp
