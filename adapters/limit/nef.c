// Networks of LIF ensembles, each simulated by one thread from its first step to its last.
//
// A network is its neurons around a vector of channels: filtered values, of which some arrive at an ensemble
// (encoded) and some come from one (decoded).  All that a network is made of stays in the caches of its core.
#include "vector.h"

// Terms of the series of exp and log after which nothing changes, for dt / tau_rc up to 0.05.
#ifdef DOUBLE
enum { EXP_TERMS = 11, LOG_TERMS = 13 };
#else
enum { EXP_TERMS = 6, LOG_TERMS = 7 };
#endif

const int64_t lanes = LANES; // an ensemble's neurons are filled up to a multiple of these

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

// One step of LIF neurons, see ``Nef`` in tasks/nef/spec.py: which of them fire; v and r go on to the next step.
static inline mask fire(const Run *run, vec current, vec *v, vec *r) {
  const real dt = run->dt, rate = -1 / run->tau_rc, tau_rc = run->tau_rc, rest = run->tau_ref + run->dt;
  vec left = *r - dt, open = least(most(dt - left, all(0)), all(dt)), x = open * rate;
  vec exponential = all(1); // expm1(x) = x (1 + x/2 (1 + x/3 (1 + ...)))
#pragma GCC unroll 16
  for (int term = EXP_TERMS; term > 1; term--) exponential = 1 + x * exponential * (real)(1.0 / term);
  vec charged = *v - (current - *v) * (x * exponential);
  mask fired = charged > 1;
  vec over = (charged - 1) / (current - 1), logarithm = all(0); // log1p(-y) = -y (1 + y/2 + y^2/3 + ...)
#pragma GCC unroll 16
  for (int term = LOG_TERMS; term > 0; term--) logarithm = logarithm * over + (real)(1.0 / term);
  *r = choose(fired, rest - tau_rc * (over * logarithm), left);
  *v = where(~fired, most(charged, all(0)));
  return fired;
}

static void simulate(const Run *run, int64_t model) {
  typedef uint8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
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
        mask fired = fire(run, current, v + i, r + i);
        spikes[i] = where(fired, all(1));
        *(bytes *)(run->fired + (row * vectors + i) * LANES) = __builtin_convertvector(fired, bytes) & 1;
      }
    }
    for (int64_t c = 0; c < channels; c++) {
      vec sum = all(0);
      if (run->source[c] >= 0) {
        Ensemble source = run->ensemble[run->source[c]];
        for (int64_t i = source.start; i < source.stop; i++) sum += spikes[i] * decoders[c * vectors + i];
      }
      x[c] = x[c] * run->keep[c] + run->drive[step * channels + c];
      for (int lane = 0; lane < LANES; lane++) x[c] += sum[lane];
    }
  }
}

void simulate_all(const Run *run) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t model = 0; model < run->models; model++) simulate(run, model);
}
