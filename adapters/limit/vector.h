// Numbers in the precision of the library, and vectors of them that fill one register of this machine.
//
// They are extensions of C that GCC and Clang share.  A comparison gives a mask of integers as wide as the
// numbers. Of vectors that are longer than a register GCC would make poor code, above all of their
// comparisons.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double real;
typedef int64_t integer;
#define SQUARE_ROOT sqrt
#else
typedef float real;
typedef int32_t integer;
#define SQUARE_ROOT sqrtf
#endif

#if defined(__AVX512F__)
#define REGISTER 64 // bytes
#elif defined(__AVX__)
#define REGISTER 32
#else
#define REGISTER 16
#endif
#ifndef LANES
#define LANES ((int)(REGISTER / sizeof(real)))
#endif
typedef real vec __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef integer mask __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

static inline vec all(real a) { return (vec){0} + a; }

// a where the mask says so, else 0
static inline vec where(mask m, vec a) { return (vec)(m & (mask)a); }

static inline int64_t up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// Zeros that begin with a cache line.
static inline void *room(int64_t bytes) {
  void *found = aligned_alloc(64, up(bytes, 64));
  if (!found) abort();
  return memset(found, 0, bytes);
}
