// Numbers in the precision of the library, and vectors of as many of them as LANES says.
//
// GCC and Clang split a vector that is longer than the machine's registers, and compare two into a mask of
// integers as wide as the numbers.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double real;
typedef int64_t integer;
#else
typedef float real;
typedef int32_t integer;
#endif

typedef real vec __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef integer mask __attribute__((vector_size(LANES * sizeof(real)), may_alias));

static inline vec all(real a) { return (vec){0} + a; }

// a where the mask says so, else 0
static inline vec where(mask m, vec a) { return (vec)(m & (mask)a); }

static inline void *room(size_t bytes) {
  size_t size = (bytes + 63) / 64 * 64;
  void *found = aligned_alloc(64, size);
  if (!found) abort();
  return memset(found, 0, size);
}
