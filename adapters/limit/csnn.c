// A convolutional network of integrate-and-fire neurons, but for its second convolution and its products.
//
// The last axis of every array is the channels', of which LANES make a vector.  The first convolution is
// cheaper to compute again in the backward pass than to keep, and the moments of what it gives follow from
// those of patches of the images: so nothing as large as its maps at every step exists.  Sums are taken image
// by image and added up outside: no result depends on which thread was first.
#include "vector.h"

typedef struct {
  int64_t images, height, width, channels, steps;
  double threshold, alpha;
} Shape;

// Place p = 0..3 of the 2 x 2 under a pooled element.
#define EACH_PLACE(p) _Pragma("GCC unroll 4") for (int64_t p = 0; p < 4; p++)

static inline const vec *at(const real *array, int64_t index) { return (const vec *)(array + index); }

static inline void widen(double *sum, vec part) {
  for (int lane = 0; lane < LANES; lane++) sum[lane] += part[lane];
}

// Sums over one image of its patches [9] and of products of their elements [9, 9], by image: first [N, 9],
// second [N, 9, 9] of images [N, H + 2, W + 2] with a margin of zeros.
void patches(const Shape *shape, const real *images, double *first, double *second) {
  int64_t row = shape->width + 2, size = (shape->height + 2) * row;
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < shape->images; n++) {
    double *sum = first + n * 9, *product = second + n * 81;
    memset(sum, 0, 9 * sizeof *sum);
    memset(product, 0, 81 * sizeof *product);
    for (int64_t i = 0; i < shape->height; i++)
      for (int a = 0; a < 9; a++) {
        const real *one = images + n * size + (i + a / 3) * row + a % 3;
        for (int64_t j = 0; j < shape->width; j++) sum[a] += one[j];
        for (int b = 0; b <= a; b++) {
          const real *other = images + n * size + (i + b / 3) * row + b % 3;
          real total = 0;
          for (int64_t j = 0; j < shape->width; j++) total += one[j] * other[j];
          product[a * 9 + b] += total;
          if (b < a) product[b * 9 + a] += total;
        }
      }
  }
}

// The first convolution at the four places under a pooled element; weight [9, channels].
static inline void convolve(const real *corner, int64_t row, const real *weight, int64_t channels, vec y[4]) {
  EACH_PLACE(p) y[p] = all(0);
#pragma GCC unroll 9
  for (int k = 0; k < 9; k++) {
    vec w = *at(weight, k * channels);
    EACH_PLACE(p) y[p] += corner[(p / 2 + k / 3) * row + p % 2 + k % 3] * w;
  }
}

// Convolution, scale and shift [channels], integrate and fire, max-pooling: images with a margin, [steps or
// 1, N, H + 2, W + 2], ``stride`` from one step to the next (0: all the same), to spikes [steps, N, H/2, W/2,
// channels]. ``unpooled``: NULL or out, the spikes before pooling.
void front(const Shape *shape, const real *images, int64_t stride, const real *weight, const real *scale,
           const real *shift, real *out, real *unpooled) {
  int64_t height = shape->height, width = shape->width, channels = shape->channels, row = width + 2;
  real threshold = shape->threshold;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t n = 0; n < shape->images; n++)
    for (int64_t i = 0; i < height / 2; i++)
      for (int64_t c = 0; c < channels; c += LANES)
        for (int64_t j = 0; j < width / 2; j++) {
          const real *corner = images + (n * (height + 2) + 2 * i) * row + 2 * j;
          vec x[4], v[4], a = *at(scale, c), b = *at(shift, c);
          EACH_PLACE(p) x[p] = v[p] = all(0);
          for (int64_t t = 0; t < shape->steps; t++) {
            if (t == 0 || stride) {
              convolve(corner + t * stride, row, weight + c, channels, x);
              EACH_PLACE(p) x[p] = x[p] * a + b;
            }
            mask any = {0};
            EACH_PLACE(p) {
              v[p] += x[p];
              mask fired = v[p] >= threshold;
              v[p] = where(~fired, v[p]);
              any |= fired;
              int64_t place = ((t * shape->images + n) * height + 2 * i + p / 2) * width + 2 * j + p % 2;
              if (unpooled) *(vec *)(unpooled + place * channels + c) = where(fired, all(1));
            }
            int64_t place = ((t * shape->images + n) * (height / 2) + i) * (width / 2) + j;
            *(vec *)(out + place * channels + c) = where(any, all(1));
          }
        }
}

// Back through max-pooling and time: from gradients of a pooled spike ``grad`` [steps] to those of what its
// four neurons were fed, which replace their membranes before the reset, v [steps, 4].  Of a pooled spike the
// first neuron that fires takes the gradient, or the very first where none does.
static inline void descend(const Shape *shape, const vec *grad, vec (*v)[4]) {
  real threshold = shape->threshold, half = shape->alpha / 2, slope = M_PI / 2 * shape->alpha;
  vec rest[4];
  EACH_PLACE(p) rest[p] = all(0);
  for (int64_t t = shape->steps - 1; t >= 0; t--) {
    mask taken = {0}, none = ~((v[t][0] >= threshold) | (v[t][1] >= threshold) | (v[t][2] >= threshold) |
                               (v[t][3] >= threshold));
    EACH_PLACE(p) {
      mask fired = v[t][p] >= threshold, mine = p ? fired & ~taken : fired | none;
      taken |= fired;
      vec scaled = (v[t][p] - threshold) * slope, surrogate = half / (1 + scaled * scaled);
      rest[p] = (where(mine, grad[t]) - rest[p] * v[t][p]) * surrogate + where(~fired, rest[p]);
      v[t][p] = rest[p];
    }
  }
}

// From gradients of the pooled spikes to sums by image, [N, 11, channels], over time and places: of d, of d y
// and of d times each element of its patch, where y is the convolution and d the gradient of y as it is
// scaled.
void front_back(const Shape *shape, const real *images, const real *weight, const real *scale,
                const real *shift, const real *grad, double *sums) {
  int64_t height = shape->height, width = shape->width, channels = shape->channels, row = width + 2;
  real threshold = shape->threshold;
  memset(sums, 0, sizeof *sums * shape->images * 11 * channels);
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < shape->images; n++)
    for (int64_t c = 0; c < channels; c += LANES)
      for (int64_t i = 0; i < height / 2; i++) {
        vec sum[11], a = *at(scale, c), b = *at(shift, c);
        for (int k = 0; k < 11; k++) sum[k] = all(0);
        for (int64_t j = 0; j < width / 2; j++) {
          const real *corner = images + (n * (height + 2) + 2 * i) * row + 2 * j;
          vec y[4], after[4], v[shape->steps][4], pooled[shape->steps];
          convolve(corner, row, weight + c, channels, y);
          EACH_PLACE(p) after[p] = all(0);
          for (int64_t t = 0; t < shape->steps; t++) {
            int64_t place = ((t * shape->images + n) * (height / 2) + i) * (width / 2) + j;
            pooled[t] = *at(grad, place * channels + c);
            EACH_PLACE(p) {
              v[t][p] = after[p] + (y[p] * a + b);
              after[p] = where(v[t][p] < threshold, v[t][p]);
            }
          }
          descend(shape, pooled, v);
          EACH_PLACE(p) {
            vec d = v[0][p];
            for (int64_t t = 1; t < shape->steps; t++) d += v[t][p];
            sum[0] += d;
            sum[1] += d * y[p];
#pragma GCC unroll 9
            for (int k = 0; k < 9; k++) sum[2 + k] += corner[(p / 2 + k / 3) * row + p % 2 + k % 3] * d;
          }
        }
        for (int k = 0; k < 11; k++) widen(sums + (n * 11 + k) * channels + c, sum[k]);
      }
}

// Sums of x and of x^2 by step and image, [steps, N, 2, channels], of x [steps, N, H, W, channels].
void moments(const Shape *shape, const real *x, double *sums) {
  int64_t channels = shape->channels, size = shape->height * shape->width;
  memset(sums, 0, sizeof *sums * shape->steps * shape->images * 2 * channels);
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < shape->steps * shape->images; n++)
    for (int64_t start = 0; start < size; start += shape->width)
      for (int64_t c = 0; c < channels; c += LANES) {
        vec sum = all(0), square = all(0);
        for (int64_t i = start; i < start + shape->width; i++) {
          vec value = *at(x, (n * size + i) * channels + c);
          sum += value;
          square += value * value;
        }
        widen(sums + n * 2 * channels + c, sum);
        widen(sums + (n * 2 + 1) * channels + c, square);
      }
}

// Scale and shift [steps, channels], integrate and fire, max-pooling: x [steps, N, H, W, channels] to spikes
// [steps, N, H/2, W/2, channels].  ``unpooled``: NULL or out, the spikes before pooling.
void back(const Shape *shape, const real *x, const real *scale, const real *shift, real *out,
          real *unpooled) {
  int64_t height = shape->height, width = shape->width, channels = shape->channels;
  real threshold = shape->threshold;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t n = 0; n < shape->images; n++)
    for (int64_t i = 0; i < height / 2; i++)
      for (int64_t j = 0; j < width / 2; j++)
        for (int64_t c = 0; c < channels; c += LANES) {
          vec v[4];
          EACH_PLACE(p) v[p] = all(0);
          for (int64_t t = 0; t < shape->steps; t++) {
            vec a = *at(scale, t * channels + c), b = *at(shift, t * channels + c);
            mask any = {0};
            EACH_PLACE(p) {
              int64_t place = ((t * shape->images + n) * height + 2 * i + p / 2) * width + 2 * j + p % 2;
              v[p] += *at(x, place * channels + c) * a + b;
              mask fired = v[p] >= threshold;
              v[p] = where(~fired, v[p]);
              any |= fired;
              if (unpooled) *(vec *)(unpooled + place * channels + c) = where(fired, all(1));
            }
            int64_t place = ((t * shape->images + n) * (height / 2) + i) * (width / 2) + j;
            *(vec *)(out + place * channels + c) = where(any, all(1));
          }
        }
}

// From gradients of the pooled spikes to those of what the neurons were fed, d [steps, N, H, W, channels],
// and to sums by image and step, [N, steps, 2, channels], of d and of d x.
void back_back(const Shape *shape, const real *x, const real *scale, const real *shift, const real *grad,
               real *d, double *sums) {
  int64_t height = shape->height, width = shape->width, channels = shape->channels, steps = shape->steps;
  real threshold = shape->threshold;
  memset(sums, 0, sizeof *sums * shape->images * steps * 2 * channels);
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < shape->images; n++)
    for (int64_t i = 0; i < height / 2; i++)
      for (int64_t c = 0; c < channels; c += LANES) {
        vec sum[steps], product[steps];
        for (int64_t t = 0; t < steps; t++) sum[t] = product[t] = all(0);
        for (int64_t j = 0; j < width / 2; j++) {
          vec after[4], v[steps][4], pooled[steps];
          int64_t corner = (n * height + 2 * i) * width + 2 * j, step = shape->images * height * width;
          EACH_PLACE(p) after[p] = all(0);
          for (int64_t t = 0; t < steps; t++) {
            vec a = *at(scale, t * channels + c), b = *at(shift, t * channels + c);
            int64_t place = ((t * shape->images + n) * (height / 2) + i) * (width / 2) + j;
            pooled[t] = *at(grad, place * channels + c);
            EACH_PLACE(p) {
              int64_t place = t * step + corner + p / 2 * width + p % 2;
              v[t][p] = after[p] + (*at(x, place * channels + c) * a + b);
              after[p] = where(v[t][p] < threshold, v[t][p]);
            }
          }
          descend(shape, pooled, v);
          for (int64_t t = 0; t < steps; t++) EACH_PLACE(p) {
              int64_t place = t * step + corner + p / 2 * width + p % 2;
              *(vec *)(d + place * channels + c) = v[t][p];
              sum[t] += v[t][p];
              product[t] += v[t][p] * *at(x, place * channels + c);
            }
        }
        for (int64_t t = 0; t < steps; t++) {
          widen(sums + (n * steps + t) * 2 * channels + c, sum[t]);
          widen(sums + ((n * steps + t) * 2 + 1) * channels + c, product[t]);
        }
      }
}

// d <- p d + q x + r with p, q, r [steps, channels]: back through BatchNorm.
void combine(const Shape *shape, real *d, const real *x, const real *p, const real *q, const real *r) {
  int64_t channels = shape->channels, size = shape->images * shape->height * shape->width;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t t = 0; t < shape->steps; t++)
    for (int64_t i = 0; i < size; i++)
      for (int64_t c = 0; c < channels; c += LANES) {
        vec *to = (vec *)(d + (t * size + i) * channels + c);
        int64_t factor = t * channels + c;
        *to = *to * *at(p, factor) + *at(x, (t * size + i) * channels + c) * *at(q, factor) + *at(r, factor);
      }
}

#define CHUNK 1024 // neurons that go through all steps together, in cache

// Integrate and fire without a map: x [steps, size] to spikes; the membranes before the reset replace x.
void fire(const Shape *shape, int64_t size, real *x, real *spikes) {
  real threshold = shape->threshold;
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < size; from += CHUNK) {
    int64_t to = from + CHUNK < size ? from + CHUNK : size;
    for (int64_t t = 0; t < shape->steps; t++)
      for (int64_t i = from; i < to; i++) {
        real before = t ? x[(t - 1) * size + i] : 0;
        real v = x[t * size + i] + (before < threshold ? before : 0);
        x[t * size + i] = v;
        spikes[t * size + i] = v >= threshold;
      }
  }
}

// Gradients of its spikes [steps, size] to those of what it was fed, in place; v as ``fire`` left it.
void fire_back(const Shape *shape, int64_t size, real *grad, const real *v) {
  real threshold = shape->threshold, half = shape->alpha / 2, slope = M_PI / 2 * shape->alpha;
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < size; from += CHUNK) {
    int64_t to = from + CHUNK < size ? from + CHUNK : size;
    for (int64_t t = shape->steps - 1; t >= 0; t--)
      for (int64_t i = from; i < to; i++) {
        real rest = t + 1 < shape->steps ? grad[(t + 1) * size + i] : 0, now = v[t * size + i];
        real scaled = (now - threshold) * slope;
        grad[t * size + i] = (grad[t * size + i] - rest * now) * (half / (1 + scaled * scaled)) +
                             (now < threshold ? rest : 0);
      }
  }
}
