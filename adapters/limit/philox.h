// Philox4x32-10, a random number generator that is a function of a counter (Salmon, Moraes, Dror and Shaw
// 2011, "Parallel random numbers: as easy as 1, 2, 3"): a draw depends on nothing that was drawn before, and
// so not on which thread draws it.
#pragma once
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define PHILOX_BYTES 128 // of one call: those of eight counters

// 32-bit words in lanes of 64 bits, so that a product has room.  Compilers don't see that the upper halves do
// not matter and multiply all 64 bits, which takes four times as long.
#if defined(__AVX512F__)
#define WORDS 8
typedef uint64_t words __attribute__((vector_size(64), may_alias));
static inline words product_of_words(words a, words b) {
  return (words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
#define WORDS 4
typedef uint64_t words __attribute__((vector_size(32), may_alias));
static inline words product_of_words(words a, words b) {
  return (words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
#else
#define WORDS 2
typedef uint64_t words __attribute__((vector_size(16), may_alias));
static inline words product_of_words(words a, words b) { return (a & UINT32_MAX) * (b & UINT32_MAX); }
#endif

// The bytes of counters (first + 0..7, counter[0], counter[1], counter[2]) under a key; out is aligned to 64.
static inline void philox(uint8_t *out, uint32_t first, const uint32_t counter[3], uint64_t key) {
  enum { PARTS = 8 / WORDS };
  words a[PARTS], b[PARTS], c[PARTS], d[PARTS], zero = {0};
  words by_a = zero + 0xD2511F53u, by_c = zero + 0xCD9E8D57u;
  static const uint64_t eight[8] __attribute__((aligned(64))) = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int i = 0; i < PARTS; i++) {
    a[i] = ((const words *)eight)[i] + (uint64_t)first; // only the lower halves count
    b[i] = zero + counter[0];
    c[i] = zero + counter[1];
    d[i] = zero + counter[2];
  }
  uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
    for (int i = 0; i < PARTS; i++) {
      words p = product_of_words(a[i], by_a), q = product_of_words(c[i], by_c);
      a[i] = (q >> 32) ^ b[i] ^ (uint64_t)low;
      c[i] = (p >> 32) ^ d[i] ^ (uint64_t)high;
      b[i] = q;
      d[i] = p;
    }
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  words *to = (words *)out;
  for (int i = 0; i < PARTS; i++) {
    to[i] = (a[i] & UINT32_MAX) | b[i] << 32;
    to[PARTS + i] = (c[i] & UINT32_MAX) | d[i] << 32;
  }
}
