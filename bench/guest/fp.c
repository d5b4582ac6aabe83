// Double precision: an n-body simulation and the Mandelbrot set. The compiler contracts a * b + c to fmadd.d.
#include "platform.h"

#define BODIES 5
#define STEPS 170000
#define SIDE 256
#define ITERATIONS 100

struct body {
  double x, y, z, vx, vy, vz, mass;
};

static uint64_t bits_of(double value) {
  uint64_t bits;
  __asm__("fmv.x.d %0, %1" : "=r"(bits) : "f"(value));
  return bits;
}

static double root_of(double value) {
  double root;
  __asm__("fsqrt.d %0, %1" : "=f"(root) : "f"(value));
  return root;
}

static void advance(struct body *bodies, double dt) {
  for (int i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    for (int j = i + 1; j < BODIES; j++) {
      struct body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz;
      double pull = dt / (square * root_of(square));
      a->vx -= dx * b->mass * pull;
      a->vy -= dy * b->mass * pull;
      a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull;
      b->vy += dy * a->mass * pull;
      b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < BODIES; i++) {
    bodies[i].x += dt * bodies[i].vx;
    bodies[i].y += dt * bodies[i].vy;
    bodies[i].z += dt * bodies[i].vz;
  }
}

static uint64_t bodies_move(void) {
  // A heavy centre and four light bodies on circles around it, in natural units.
  struct body bodies[BODIES] = {
      {0, 0, 0, 0, 0, 0, 40.0},
      {4.8, -1.2, -0.1, 0.6, 2.8, -0.02, 0.04},
      {8.3, 4.1, -0.4, -1.0, 1.8, 0.01, 0.01},
      {12.9, -15.1, -0.2, 1.1, 0.9, -0.01, 0.002},
      {15.4, -25.9, 0.2, 1.0, 0.6, -0.04, 0.002},
  };
  for (int step = 0; step < STEPS; step++) advance(bodies, 0.001);
  uint64_t sum = 0;
  for (int i = 0; i < BODIES; i++) sum = mix(mix(mix(sum, bits_of(bodies[i].x)), bits_of(bodies[i].y)), bits_of(bodies[i].z));
  return sum;
}

static uint64_t mandelbrot(void) {
  uint64_t sum = 0;
  for (int row = 0; row < SIDE; row++)
    for (int column = 0; column < SIDE; column++) {
      double cr = 3.0 * column / SIDE - 2.1, ci = 2.4 * row / SIDE - 1.2;
      double zr = 0, zi = 0;
      int i = 0;
      for (; i < ITERATIONS && zr * zr + zi * zi <= 4.0; i++) {
        double next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
      }
      sum = mix(sum, (uint64_t)i);
    }
  return sum;
}

uint64_t kernel_fp(void) { return mix(bodies_move(), mandelbrot()); }
