// Single precision: a matrix product, the Julia set, and a filter over samples. The compiler contracts a * b + c to fmadd.s.
#include "platform.h"

#define SIDE 96
#define PRODUCTS 12
#define PICTURE 192
#define ITERATIONS 80
#define SAMPLES 65536
#define PASSES 12

static uint64_t bits_of(float value) {
  uint32_t bits;
  __asm__("fmv.x.w %0, %1" : "=r"(bits) : "f"(value));
  return bits;
}

static uint64_t products(float *a, float *b, float *c) {
  for (int i = 0; i < SIDE * SIDE; i++) {
    a[i] = (float)(i % 17) * 0.25f - 2.0f;
    b[i] = (float)(i % 23) * 0.125f - 1.4f;
  }
  uint64_t sum = 0;
  for (int pass = 0; pass < PRODUCTS; pass++) {
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        float cell = 0;
        for (int k = 0; k < SIDE; k++) cell += a[i * SIDE + k] * b[k * SIDE + j];
        c[i * SIDE + j] = cell;
      }
    for (int i = 0; i < SIDE * SIDE; i++) a[i] = c[i] * 0.01f + b[i];
    sum = mix(sum, bits_of(c[pass * 701]));
  }
  return sum;
}

static uint64_t julia(void) {
  uint64_t sum = 0;
  for (int row = 0; row < PICTURE; row++)
    for (int column = 0; column < PICTURE; column++) {
      float zr = 3.0f * (float)column / PICTURE - 1.5f, zi = 3.0f * (float)row / PICTURE - 1.5f;
      int i = 0;
      for (; i < ITERATIONS && zr * zr + zi * zi <= 4.0f; i++) {
        float next = zr * zr - zi * zi - 0.79f;
        zi = 2.0f * zr * zi + 0.15f;
        zr = next;
      }
      sum = mix(sum, (uint64_t)i);
    }
  return sum;
}

static uint64_t filter(float *samples) {
  for (int i = 0; i < SAMPLES; i++) samples[i] = (float)((i * 7919) & 0xffff) / 65536.0f - 0.5f;
  float low = 0.1f, band = 0.05f;
  for (int pass = 0; pass < PASSES; pass++)
    for (int i = 0; i < SAMPLES; i++) {
      float high = samples[i] - low - 0.7f * band;
      band += 0.11f * high;
      low += 0.11f * band;
      samples[i] = low;
    }
  return mix(bits_of(low), bits_of(band));
}

uint64_t kernel_sp(void) {
  float *at = (float *)__arena;
  uint64_t sum = products(at, at + SIDE * SIDE, at + 2 * SIDE * SIDE);
  sum = mix(sum, julia());
  return mix(sum, filter(at));
}
