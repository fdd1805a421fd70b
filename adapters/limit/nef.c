// Networks of LIF ensembles, each simulated by one thread from its first step to its last.
//
// A network is its neurons around a vector of channels, filtered values: each but the output's arrives at an
// ensemble, encoded, and comes from another, decoded, or from the inputs.  A network stays in the caches of
// its core.
#include "vector.h"

// expm1(x) / x and log1p(-y) / -y as power series.  Cut off here they are right to the last bit or two for
// |x| <= 0.05 and y <= 1 - exp(-0.05), which is how far a step of 0.05 tau_rc goes.
static const double EXP[] = {1,          1.0 / 2,     1.0 / 6,      1.0 / 24,     1.0 / 120,
                             1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880};
static const double LOG[] = {1,       1.0 / 2, 1.0 / 3, 1.0 / 4,  1.0 / 5,  1.0 / 6,
                             1.0 / 7, 1.0 / 8, 1.0 / 9, 1.0 / 10, 1.0 / 11, 1.0 / 12};
#ifdef DOUBLE
enum { EXP_TERMS = 9, LOG_TERMS = 12 };
#else
enum { EXP_TERMS = 5, LOG_TERMS = 6 };
#endif

typedef struct {
  int64_t start, stop; // its vectors of neurons
  int64_t from, to;    // the channels that arrive at it
} Ensemble;

typedef struct {
  int64_t models, steps, vectors, channels, ensembles;
  int64_t outputs; // the last channels, which are the decoded output
  double dt, tau_rc, tau_ref;
  const Ensemble *ensemble;
  const int64_t *source; // [channels] the ensemble that a channel comes from, or -1: from the inputs alone
  const real *bias, *voltage;      // [models, neurons]
  const real *encoders, *decoders; // [models, channels, neurons]
  const real *keep;                // [channels]
  const real *drive;               // [steps, channels] what the inputs add at each step
  real *decoded;                   // out: [models, steps, outputs]
  uint8_t *fired;                  // out: [models, steps, neurons] 0/1
} Run;

static inline vec choose(mask m, vec yes, vec no) { return (vec)((m & (mask)yes) | (~m & (mask)no)); }
static inline vec least(vec a, vec b) { return choose(a < b, a, b); }
static inline vec most(vec a, vec b) { return choose(a > b, a, b); }

// Even and odd powers apart, since every addition waits for the one before.
static inline vec series(vec x, const double *factor, int terms) {
  vec square = x * x, even = all(0), odd = all(0);
#pragma GCC unroll 16
  for (int power = terms - 1; power >= 0; power--) {
    if (power % 2) odd = odd * square + (real)factor[power];
    else even = even * square + (real)factor[power];
  }
  return even + odd * x;
}

static inline real total(vec a) {
  real sum[LANES];
  memcpy(sum, &a, sizeof sum);
#pragma GCC unroll 4
  for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
    for (int lane = 0; lane < half; lane++) sum[lane] += sum[lane + half];
  return sum[0];
}

typedef struct {
  real dt, tau_rc, rate, rest;
} Times;

// One step of LIF neurons, see ``Nef`` in tasks/nef/spec.py: 1 where one fires; v and r go on to the next
// step.
static inline vec fire(Times times, vec current, vec *v, vec *r) {
  vec left = *r - times.dt, open = least(most(times.dt - left, all(0)), all(times.dt)), x = open * times.rate;
  vec charged = *v - (current - *v) * (x * series(x, EXP, EXP_TERMS));
  mask fired = charged > 1;
  vec over = (charged - 1) / (current - 1); // no matter what, where nothing fires
  *r = choose(fired, times.rest - times.tau_rc * (over * series(over, LOG, LOG_TERMS)), left);
  *v = where(~fired, most(charged, all(0)));
  return where(fired, all(1));
}

static void simulate(const Run *run, int64_t model) {
  const Times times = {run->dt, run->tau_rc, -1 / run->tau_rc, run->tau_ref + run->dt};
  int64_t vectors = run->vectors, channels = run->channels;
  vec v[vectors], r[vectors], spikes[vectors];
  real x[channels];
  memcpy(v, (const vec *)run->voltage + model * vectors, sizeof v);
  memset(r, 0, sizeof r);
  memset(x, 0, sizeof x);
  const vec *bias = (const vec *)run->bias + model * vectors;
  const vec *encoders = (const vec *)run->encoders + model * channels * vectors;
  const vec *decoders = (const vec *)run->decoders + model * channels * vectors;
  for (int64_t step = 0; step < run->steps; step++) {
    int64_t row = model * run->steps + step;
    memcpy(run->decoded + row * run->outputs, x + channels - run->outputs, sizeof *x * run->outputs);
    for (int64_t e = 0; e < run->ensembles; e++) {
      Ensemble ensemble = run->ensemble[e];
      for (int64_t i = ensemble.start; i < ensemble.stop; i++) {
        vec current = bias[i];
        for (int64_t c = ensemble.from; c < ensemble.to; c++) current += encoders[c * vectors + i] * x[c];
        spikes[i] = fire(times, current, v + i, r + i);
      }
    }
    uint8_t *restrict fired = run->fired + row * vectors * LANES;
    for (int64_t i = 0; i < vectors * LANES; i++) fired[i] = ((const real *)spikes)[i] != 0;
    for (int64_t c = 0; c < channels; c++) {
      vec sum = all(0);
      if (run->source[c] >= 0) {
        Ensemble source = run->ensemble[run->source[c]];
        for (int64_t i = source.start; i < source.stop; i++) sum += spikes[i] * decoders[c * vectors + i];
      }
      x[c] = x[c] * run->keep[c] + run->drive[step * channels + c] + total(sum);
    }
  }
}

void simulate_all(const Run *run) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t model = 0; model < run->models; model++) simulate(run, model);
}
