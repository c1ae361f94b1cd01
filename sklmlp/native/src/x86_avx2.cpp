#include "headers.hpp"
#ifdef SKLMLP_X86
namespace sklmlp {
namespace avx2 {
#include "engine.hpp"
}
const Engine avx2_engine = {{avx2::train<float>, avx2::train<double>},
                            {avx2::forward<float>, avx2::forward<double>},
                            {avx2::gradient<float>, avx2::gradient<double>},
                            {avx2::kernel<float>, avx2::kernel<double>}};
}  // namespace sklmlp
#endif
