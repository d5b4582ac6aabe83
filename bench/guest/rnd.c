// Two million read-modify-writes at random places of 16 MiB: 4096 pages, so mostly the TLB and what is behind it.
#include "platform.h"

#define ARRAY_BYTES (16u << 20)
#define UPDATES 2000000

uint64_t kernel_rnd(void) {
  uint64_t *array = (uint64_t *)__arena;
  size_t words = ARRAY_BYTES / 8;
  for (size_t i = 0; i < words; i++) array[i] = i;
  uint64_t random = 0x0123456789abcdefu;
  for (int i = 0; i < UPDATES; i++) {
    uint64_t value = next_random(&random);
    array[value & (words - 1)] ^= value;
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < words; i += 4) sum += array[i] ^ sum >> 7;
  return sum;
}
