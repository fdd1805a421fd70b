// Layers of Linear and LIF on Poisson spikes: forward, back-propagation through time and Adam, image by
// image.
//
// An image stays in the caches of one core from its first random number to its part of the gradient: what is
// kept for it is a byte for every step and pixel that is lit.  Spikes are bits, four to an index, so that a
// product of spikes and weights, or of spikes and gradients, is one look-up and one addition for every four
// of them: the method of the four Russians (Arlazarov, Dinic, Kronrod and Faradzhev 1970).
#include "philox.h"
#include "vector.h"
#include <omp.h>

#define ROW 16 // outputs whose weights lie side by side: for the ten classes, one cache line of float32
#define PARTS (ROW / LANES)
#define EACH(part) _Pragma("GCC unroll 8") for (int part = 0; part < PARTS; part++)
#define GROUPS 8 // of four rows, whose tables of 16 sums stay in the first cache together
#define BYTES 32 // processed at once; rows may be read and written that far beyond their end

typedef struct {
  int64_t inputs, outputs, blocks; // blocks of ROW outputs, the last one filled up by zeros
  double tau, threshold, alpha;    // tau 0: no leak
  real *weight, *first, *second;   // [blocks, inputs, ROW]; Adam's two moments beside the weights
} Layer;

typedef struct {
  int64_t layers, steps;
  uint64_t seed;
  const Layer *layer;
} Network;

// Images [.., pixels] and which of them make the batch, or what comes in at every step [steps, size, pixels].
typedef struct {
  int64_t size;
  uint32_t drawn; // batches drawn before, of which each has its own random numbers
  const uint8_t *images;
  const int64_t *order;
  const real *given;
  const int64_t *labels; // of all images, to an index of codes [.., outputs]
  const real *codes;     // NULL: nothing is learned
  real *rates;           // out: [size, outputs]
  uint8_t *const *spikes; // out, if not NULL: of every layer [steps, size, outputs]
} Batch;

// One layer in the hands of one thread.  A row is of ROW numbers, in PARTS vectors.
typedef struct {
  int64_t columns, width, groups; // inputs that may fire; bytes in a line of them, 4 x groups
  int32_t *input;                 // [width] which ones; 0 where there is none
  uint8_t *spikes;                // [4 x quarter, width] 0/1, whose last lines, from steps on, are 0
  uint8_t *nibbles;
  vec *membrane; // rows [blocks, steps]: first currents, then the membranes before the reset
  vec *delta;    // rows [blocks, 4 x quarter]: gradients of spikes, then of currents
  vec *change;   // rows [blocks, inputs]: gradient of the weights, over all images of the thread
} Part;

typedef struct {
  int64_t steps, quarter; // steps / 4, upwards
  Part *part;
  uint8_t *draws, *pixel;
  real *count; // [blocks, ROW] spikes of the last layer
} Scratch;

static void *rows(int64_t count) { return room(count * ROW * sizeof(real)); }

static Scratch *scratch(const Network *net) {
  Scratch *s = room(sizeof *s);
  s->steps = net->steps;
  s->quarter = up(s->steps, 4) / 4;
  s->part = room(sizeof *s->part * net->layers);
  for (int64_t l = 0; l < net->layers; l++) {
    const Layer *layer = net->layer + l;
    Part *p = s->part + l;
    p->columns = layer->inputs;
    p->width = up(layer->inputs, l ? ROW : 4);
    p->groups = p->width / 4;
    p->input = room(sizeof *p->input * p->width);
    for (int64_t i = 0; i < layer->inputs; i++) p->input[i] = (int32_t)i;
    p->spikes = room(4 * s->quarter * p->width + 4 * BYTES);
    int64_t by_step = s->steps * up(p->groups, BYTES), by_column = up(s->quarter, GROUPS) * p->width;
    p->nibbles = room((by_step > by_column ? by_step : by_column) + BYTES);
    p->membrane = rows(layer->blocks * s->steps);
    p->delta = rows(layer->blocks * 4 * s->quarter);
    p->change = rows(layer->blocks * layer->inputs);
  }
  s->draws = room(s->steps * s->part->width + PHILOX_BYTES);
  s->pixel = room(s->part->width + BYTES);
  s->count = rows(net->layer[net->layers - 1].blocks);
  return s;
}

static void leave(const Network *net, Scratch *s) {
  for (int64_t l = 0; l < net->layers; l++) {
    Part *p = s->part + l;
    free(p->input), free(p->spikes), free(p->nibbles), free(p->membrane), free(p->delta), free(p->change);
  }
  free(s->part), free(s->draws), free(s->pixel), free(s->count), free(s);
}

// Poisson spikes of an image: 1 with probability pixel / 255, by bytes that are uniform on 0..254.
static void draw(const Network *net, Scratch *s, const uint8_t *image, uint32_t drawn, uint32_t place) {
  Part *p = s->part;
  int64_t columns = 0, inputs = net->layer->inputs;
  int32_t *restrict input = p->input;
  uint8_t *restrict pixel = s->pixel;
  for (int64_t i = 0; i < inputs; i++) { // four of five pixels of MNIST are dark and never fire
    input[columns] = (int32_t)i;
    pixel[columns] = image[i];
    columns += image[i] != 0;
  }
  p->columns = columns;
  p->width = up(columns, 4);
  p->groups = p->width / 4;
  for (int64_t i = columns; i < p->width; i++) input[i] = 0;
  memset(pixel + columns, 0, p->width + BYTES - columns);

  int64_t count = s->steps * p->width;
  for (int64_t at = 0; at < count; at += PHILOX_BYTES)
    philox(s->draws + at, (uint32_t)(at / 16), (uint32_t[]){place, drawn, 0}, net->seed);
  uint8_t again[PHILOX_BYTES] __attribute__((aligned(64)));
  int64_t left = 0, calls = 0;
  for (uint8_t *at = s->draws; (at = memchr(at, 255, s->draws + count - at)); at++)
    do {
      if (!left) {
        philox(again, (uint32_t)(8 * calls++), (uint32_t[]){place, drawn, 1}, net->seed);
        left = sizeof again;
      }
      *at = again[--left];
    } while (*at == 255);

  for (int64_t t = 0; t < s->steps; t++) {
    const uint8_t *restrict from = s->draws + t * p->width;
    uint8_t *restrict to = p->spikes + t * p->width; // what goes beyond a row's end, the next row overwrites
    for (int64_t i = 0; i < p->width; i += BYTES)
      for (int64_t j = i; j < i + BYTES; j++) to[j] = from[j] < pixel[j];
  }
  memset(p->spikes + count, 0, (4 * s->quarter - s->steps) * p->width + BYTES);
}

// Whether the inputs of a sample are spikes; the sample's are then those of the first layer.
static int take(const Network *net, Scratch *s, const Batch *batch, int64_t n) {
  Part *p = s->part;
  int64_t inputs = net->layer->inputs;
  p->columns = inputs;
  p->width = up(inputs, 4);
  p->groups = p->width / 4;
  for (int64_t i = 0; i < p->width; i++) p->input[i] = (int32_t)(i < inputs ? i : 0);
  memset(p->spikes, 0, 4 * s->quarter * p->width);
  for (int64_t t = 0; t < s->steps; t++)
    for (int64_t i = 0; i < inputs; i++) {
      real x = batch->given[(t * batch->size + n) * inputs + i];
      if (x != 0 && x != 1) return 0;
      p->spikes[t * p->width + i] = x == 1;
    }
  return 1;
}

// Four bytes 0/1, each ``plane`` after the other, to an index of 0..15.
static inline void pack(const uint8_t *restrict from, int64_t plane, uint8_t *restrict to, int64_t count) {
  for (int64_t i = 0; i < count; i += BYTES)
    for (int64_t j = i; j < i + BYTES; j++)
      to[j] = from[j] | from[plane + j] << 1 | from[2 * plane + j] << 2 | from[3 * plane + j] << 3;
}

// out[to[r]] += the sum over groups of those of the rows g, groups + g, 2 groups + g, 3 groups + g of the
// matrix whose bits are set in nibbles[r by_row + g by_group]; matrix and out are numbered through ``from``
// and ``to``, unless those are NULL.
static inline void add_product(const uint8_t *nibbles, int64_t by_row, int64_t by_group, int64_t count,
                               int64_t groups, const vec *matrix, const int32_t *from, vec *out,
                               const int32_t *to) {
  vec table[GROUPS][16][PARTS] __attribute__((aligned(64)));
  for (int64_t start = 0; start < groups; start += GROUPS) {
    for (int64_t g = 0; g < GROUPS; g++) {
      if (start + g >= groups) memset(table[g], 0, sizeof table[g]);
      EACH(k) table[g][0][k] = all(0);
      for (int64_t j = 0; j < 4 && start + g < groups; j++) {
        int64_t row = j * groups + start + g;
        const vec *values = matrix + (from ? from[row] : row) * PARTS;
        for (int64_t i = 0; i < 1 << j; i++) EACH(k) table[g][(1 << j) + i][k] = table[g][i][k] + values[k];
      }
    }
    for (int64_t r = 0; r < count; r++) {
      const uint8_t *index = nibbles + r * by_row + start * by_group;
      vec *at = out + (to ? to[r] : r) * PARTS, even[PARTS], odd[PARTS];
      EACH(k) even[k] = at[k];
      EACH(k) odd[k] = all(0);
      for (int64_t g = 0; g < GROUPS && start + g < groups; g += 2) {
        const vec *one = table[g][index[g * by_group]], *other = table[g + 1][index[(g + 1) * by_group]];
        EACH(k) even[k] += one[k];
        EACH(k) odd[k] += other[k];
      }
      EACH(k) at[k] = even[k] + odd[k];
    }
  }
}

// Currents of a layer, from its spikes.
static void currents(const Layer *layer, const Part *p, int64_t steps) {
  int64_t line = up(p->groups, BYTES);
  for (int64_t t = 0; t < steps; t++) pack(p->spikes + t * p->width, p->groups, p->nibbles + t * line, line);
  memset(p->membrane, 0, sizeof(real) * ROW * layer->blocks * steps);
  for (int64_t b = 0; b < layer->blocks; b++) {
    const vec *weight = (const vec *)layer->weight + b * layer->inputs * PARTS;
    vec *x = p->membrane + b * steps * PARTS;
    add_product(p->nibbles, line, 1, steps, p->groups, weight, p->input, x, NULL);
  }
}

// Gradient of a layer's weights, from its spikes and the gradients of its currents.
static void weight_change(const Layer *layer, const Part *p, int64_t quarter) {
  pack(p->spikes, quarter * p->width, p->nibbles, quarter * p->width);
  for (int64_t b = 0; b < layer->blocks; b++) {
    const vec *delta = p->delta + b * 4 * quarter * PARTS;
    vec *change = p->change + b * layer->inputs * PARTS;
    add_product(p->nibbles, 1, p->width, p->columns, quarter, delta, NULL, change, p->input);
  }
}

// The same two for inputs that are no spikes: value [steps, .., inputs], ``stride`` from one step to the
// next.
static void dense_currents(const Layer *layer, const Part *p, int64_t steps, const real *value,
                           int64_t stride) {
  for (int64_t b = 0; b < layer->blocks; b++)
    for (int64_t t = 0; t < steps; t++) {
      vec x[PARTS] = {0};
      const vec *weight = (const vec *)layer->weight + b * layer->inputs * PARTS;
      for (int64_t i = 0; i < layer->inputs; i++)
        EACH(k) x[k] += weight[i * PARTS + k] * value[t * stride + i];
      EACH(k) p->membrane[(b * steps + t) * PARTS + k] = x[k];
    }
}

static void dense_change(const Layer *layer, const Part *p, int64_t steps, int64_t quarter, const real *value,
                         int64_t stride) {
  for (int64_t b = 0; b < layer->blocks; b++)
    for (int64_t t = 0; t < steps; t++) {
      const vec *delta = p->delta + (b * 4 * quarter + t) * PARTS;
      vec *change = p->change + b * layer->inputs * PARTS;
      for (int64_t i = 0; i < layer->inputs; i++)
        EACH(k) change[i * PARTS + k] += delta[k] * value[t * stride + i];
    }
}

// v <- v + (x - v) / tau, fire, reset: see ``Neuron`` in tasks/classify/spec.py.  Membranes before the reset
// replace the currents in the rows x.
static void charge(const Layer *layer, vec *x, int64_t steps, real *count) {
  // for tau 2 these products are as exact as the division
  real gain = layer->tau > 0 ? 1 / layer->tau : 1, keep = layer->tau > 0 ? 1 - 1 / layer->tau : 1;
  real threshold = layer->threshold;
  vec after[PARTS] = {0}, sum[PARTS] = {0};
  for (int64_t t = 0; t < steps; t++) EACH(k) {
      vec v = after[k] * keep + x[t * PARTS + k] * gain;
      mask fired = v >= threshold;
      x[t * PARTS + k] = v;
      sum[k] += where(fired, all(1));
      after[k] = where(~fired, v);
    }
  memcpy(count, sum, sizeof sum);
}

// Gradients of spikes to gradients of currents, in place, back through time; v as ``charge`` left it.
static void discharge(const Layer *layer, const vec *v, vec *delta, int64_t steps) {
  real gain = layer->tau > 0 ? 1 / layer->tau : 1, keep = layer->tau > 0 ? 1 - 1 / layer->tau : 1;
  real threshold = layer->threshold, half = layer->alpha / 2, slope = M_PI / 2 * layer->alpha;
  vec later[PARTS] = {0}; // gradient of the next step's charged membrane
  for (int64_t t = steps - 1; t >= 0; t--) EACH(k) {
      vec now = v[t * PARTS + k], scaled = (now - threshold) * slope;
      vec surrogate = half / (1 + scaled * scaled);
      // to_rest = keep later;  to_charged = (to_spike - to_rest v) surrogate + to_rest (1 - s)
      vec through = (where(now < threshold, all(1)) - now * surrogate) * keep;
      later[k] = delta[t * PARTS + k] * surrogate + later[k] * through;
      delta[t * PARTS + k] = later[k] * gain;
    }
}

// Spikes 0/1 of a layer as the next one's, from its membranes.
static void ascend(const Layer *below, const Part *p, int64_t steps, const Part *next) {
  real threshold = below->threshold;
  for (int64_t b = 0; b < below->blocks; b++)
    for (int64_t t = 0; t < steps; t++) {
      const real *v = (const real *)p->membrane + (b * steps + t) * ROW;
      uint8_t *restrict to = next->spikes + t * next->width + b * ROW;
      for (int i = 0; i < ROW; i++) to[i] = v[i] >= threshold;
    }
}

// Gradients of the spikes below from those of the currents above, whose weights are ``turned``.
static void descend(const Layer *above, const Part *p, const vec *turned, const Layer *below, vec *delta,
                    int64_t steps, int64_t quarter) {
  for (int64_t b = 0; b < below->blocks; b++)
    for (int64_t t = 0; t < steps; t++) {
      vec sum[PARTS] = {0};
      for (int64_t o = 0; o < above->outputs; o++) {
        real from = ((const real *)p->delta)[(o / ROW * 4 * quarter + t) * ROW + o % ROW];
        EACH(k) sum[k] += from * turned[(o * below->blocks + b) * PARTS + k];
      }
      EACH(k) delta[(b * 4 * quarter + t) * PARTS + k] = sum[k];
    }
}

// Sample n of the batch, forward and, where there are codes, backward.  ``turned``: see ``turn``.
static void see(const Network *net, Scratch *s, const Batch *batch, int64_t n, vec *const *turned) {
  int64_t steps = s->steps, top = net->layers - 1, inputs = net->layer->inputs;
  int64_t image = batch->order ? batch->order[n] : n;
  const real *dense = NULL;
  if (!batch->given) draw(net, s, batch->images + image * inputs, batch->drawn, (uint32_t)n);
  else if (!take(net, s, batch, n)) dense = batch->given + n * inputs;

  for (int64_t l = 0; l <= top; l++) {
    const Layer *layer = net->layer + l;
    Part *p = s->part + l;
    if (l == 0 && dense) dense_currents(layer, p, steps, dense, batch->size * inputs);
    else currents(layer, p, steps);
    real sums[ROW];
    for (int64_t b = 0; b < layer->blocks; b++)
      charge(layer, p->membrane + b * steps * PARTS, steps, l == top ? s->count + b * ROW : sums);
    if (l < top) ascend(layer, p, steps, p + 1);
    for (int64_t t = 0; t < steps && batch->spikes; t++)
      for (int64_t o = 0; o < layer->outputs; o++) {
        real v = ((const real *)p->membrane)[(o / ROW * steps + t) * ROW + o % ROW];
        batch->spikes[l][(t * batch->size + n) * layer->outputs + o] = v >= (real)layer->threshold;
      }
  }

  int64_t outputs = net->layer[top].outputs;
  real *rate = batch->rates + n * outputs;
  for (int64_t o = 0; o < outputs; o++) rate[o] = s->count[o] / steps;
  if (!batch->codes) return;

  for (int64_t b = 0; b < net->layer[top].blocks; b++) { // of the mean squared error
    real error[ROW] = {0};
    for (int64_t o = b * ROW; o < outputs && o < (b + 1) * ROW; o++)
      error[o % ROW] = (rate[o] - batch->codes[batch->labels[image] * outputs + o]) *
                       (real)(2.0 / (batch->size * outputs) / steps);
    for (int64_t t = 0; t < steps; t++)
      memcpy(s->part[top].delta + (b * 4 * s->quarter + t) * PARTS, error, sizeof error);
  }
  for (int64_t l = top; l >= 0; l--) {
    const Layer *layer = net->layer + l;
    Part *p = s->part + l;
    if (l < top) descend(layer + 1, p + 1, turned[l + 1], layer, p->delta, steps, s->quarter);
    for (int64_t b = 0; b < layer->blocks; b++)
      discharge(layer, p->membrane + b * steps * PARTS, p->delta + b * 4 * s->quarter * PARTS, steps);
    if (l == 0 && dense) dense_change(layer, p, steps, s->quarter, dense, batch->size * inputs);
    else weight_change(layer, p, s->quarter);
  }
}

// The weights [outputs, blocks below] of the layers above the first, for ``descend``.  By all threads.
static void turn(const Network *net, vec *const *turned) {
  for (int64_t l = 1; l < net->layers; l++) {
    const Layer *layer = net->layer + l;
    int64_t line = up(layer->inputs, ROW);
#pragma omp for schedule(static)
    for (int64_t o = 0; o < layer->outputs; o++)
      for (int64_t i = 0; i < layer->inputs; i++)
        ((real *)turned[l])[o * line + i] = layer->weight[(o / ROW * layer->inputs + i) * ROW + o % ROW];
  }
}

#define CHUNK 512

// The gradient of one chunk of a layer's weights, summed over the threads in their order; clears theirs.
static void gather(Scratch *const *all_scratch, int64_t threads, int64_t l, int64_t at, int64_t count,
                   real *gradient) {
  memset(gradient, 0, sizeof *gradient * count);
  for (int64_t i = 0; i < threads; i++) {
    real *own = (real *)all_scratch[i]->part[l].change + at;
    for (int64_t j = 0; j < count; j++) gradient[j] += own[j];
    memset(own, 0, sizeof *own * count);
  }
}

// One step of torch's Adam (Kingma and Ba 2015), counted from 1, the corrections of its moments drawn out of
// the loop.  By all threads.
static void adam(const Network *net, Scratch *const *all_scratch, int64_t threads, double lr, int64_t step) {
  double correction = sqrt(1 - pow(0.999, step));
  real rate = lr * correction / (1 - pow(0.9, step)), epsilon = 1e-8 * correction;
  for (int64_t l = 0; l < net->layers; l++) {
    const Layer *layer = net->layer + l;
    int64_t size = layer->blocks * layer->inputs * ROW;
#pragma omp for schedule(static)
    for (int64_t at = 0; at < size; at += CHUNK) {
      int64_t count = size - at < CHUNK ? size - at : CHUNK;
      real gradient[CHUNK];
      gather(all_scratch, threads, l, at, count, gradient);
      real *restrict weight = layer->weight + at, *restrict first = layer->first + at;
      real *restrict second = layer->second + at;
      for (int64_t i = 0; i < count; i++) {
        first[i] = first[i] * (real)0.9 + gradient[i] * (real)0.1;
        second[i] = second[i] * (real)0.999 + gradient[i] * gradient[i] * (real)0.001;
        weight[i] -= rate * first[i] / (SQUARE_ROOT(second[i]) + epsilon);
      }
    }
  }
}

// Sees one batch, and learns from it where it has codes: by Adam's step after ``stepped`` others, or, with
// ``gradient`` [layer][blocks, inputs, ROW] to fill, not at all.  ``batches`` follow one another in order,
// labels and rates.  How often it has stepped is returned.
int64_t run(const Network *net, const Batch *first, int64_t batches, double lr, int64_t stepped,
         real *const *gradient) {
  int64_t threads = omp_get_max_threads(), steps = 0, outputs = net->layer[net->layers - 1].outputs;
  Scratch *all_scratch[threads];
  vec *turned[net->layers];
  for (int64_t l = 1; l < net->layers; l++)
    turned[l] = rows(net->layer[l].outputs * up(net->layer[l].inputs, ROW) / ROW);
#pragma omp parallel num_threads(threads)
  {
#pragma omp single
    threads = omp_get_num_threads(); // which may be fewer
    Scratch *own = all_scratch[omp_get_thread_num()] = scratch(net);
    for (int64_t i = 0; i < batches; i++) {
      Batch batch = *first;
      if (batch.order) batch.order += i * batch.size;
      batch.rates += i * batch.size * outputs;
      batch.drawn += (uint32_t)i;
      if (batch.codes) turn(net, turned);
#pragma omp for schedule(static)
      for (int64_t n = 0; n < batch.size; n++) see(net, own, &batch, n, turned);
      if (batch.codes && !gradient) {
        adam(net, all_scratch, threads, lr, stepped + i + 1);
#pragma omp single
        steps++;
      }
      for (int64_t l = 0; l < net->layers && gradient; l++) {
        int64_t size = net->layer[l].blocks * net->layer[l].inputs * ROW;
#pragma omp for schedule(static)
        for (int64_t at = 0; at < size; at += CHUNK)
          gather(all_scratch, threads, l, at, size - at < CHUNK ? size - at : CHUNK, gradient[l] + at);
      }
    }
#pragma omp barrier
    leave(net, own);
  }
  for (int64_t l = 1; l < net->layers; l++) free(turned[l]);
  return steps;
}
