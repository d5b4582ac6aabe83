// What the kernels and the program around them share.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Working memory: the linker script's arena, 40 MiB.
extern uint8_t __arena[], __arena_end[];

// One round of each; the checksum is the same in every round.
uint64_t kernel_int(void);
uint64_t kernel_br(void);
uint64_t kernel_mem(void);
uint64_t kernel_fp(void);
uint64_t kernel_rnd(void);
uint64_t kernel_sp(void);
uint64_t kernel_sys(void);
uint64_t kernel_ctx(void);
uint64_t kernel_lz(void);

static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum ^= value;
  sum *= 0x9e3779b97f4a7c15u;
  return sum ^ (sum >> 29);
}

// xorshift64, period 2^64 - 1
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
