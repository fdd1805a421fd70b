// What the kernels were compiled by, and how many threads they run on.
#include "vector.h"
#include <omp.h>

#if defined(__AVX512F__)
#define INSTRUCTIONS "AVX-512"
#elif defined(__AVX2__)
#define INSTRUCTIONS "AVX2"
#else
#define INSTRUCTIONS "baseline"
#endif

#ifdef __clang__
const char *compiler = __VERSION__ ", " INSTRUCTIONS;
#else
const char *compiler = "GCC " __VERSION__ ", " INSTRUCTIONS;
#endif

const int register_bytes = REGISTER;

int set_threads(int count) {
  omp_set_num_threads(count);
  return omp_get_max_threads();
}
