// Memory traffic: word copies of 4 MB, a byte copy between misaligned addresses, quicksort of a million words.
#include "platform.h"

#define COPY_BYTES (4u << 20)
#define WORD_COPIES 16
#define MISALIGNED_BYTES (1u << 20)
#define MISALIGNED_COPIES 6
#define ELEMENTS (1u << 20)

static void copy_words(uint64_t *to, const uint64_t *from, size_t words) {
  for (size_t i = 0; i < words; i += 4) {
    uint64_t a = from[i], b = from[i + 1], c = from[i + 2], d = from[i + 3];
    to[i] = a;
    to[i + 1] = b;
    to[i + 2] = c;
    to[i + 3] = d;
  }
}

static void copy_bytes(uint8_t *to, const uint8_t *from, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) to[i] = from[i];
}

static void quicksort(uint32_t *low, uint32_t *high) {
  while (high - low > 12) {
    uint32_t a = *low, b = low[(high - low) / 2], c = high[-1];
    uint32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    uint32_t *i = low - 1, *j = high;
    for (;;) {
      do i++;
      while (*i < pivot);
      do j--;
      while (*j > pivot);
      if (i >= j) break;
      uint32_t held = *i;
      *i = *j;
      *j = held;
    }
    // Recursion into the smaller part keeps the stack shallow.
    if (j + 1 - low < high - (j + 1)) {
      quicksort(low, j + 1);
      low = j + 1;
    } else {
      quicksort(j + 1, high);
      high = j + 1;
    }
  }
  for (uint32_t *i = low + 1; i < high; i++) {
    uint32_t held = *i, *j = i;
    for (; j > low && j[-1] > held; j--) *j = j[-1];
    *j = held;
  }
}

uint64_t kernel_mem(void) {
  uint64_t random = 0xfeedfacecafebeefu, sum = 0;
  uint64_t *first = (uint64_t *)__arena, *second = (uint64_t *)(__arena + COPY_BYTES + 4096);
  size_t words = COPY_BYTES / 8;
  for (size_t i = 0; i < words; i++) first[i] = i * 0x9e3779b97f4a7c15u;
  for (int pass = 0; pass < WORD_COPIES; pass++) {
    copy_words(second, first, words);
    second[pass] += (uint64_t)pass;
    copy_words(first, second, words);
  }
  for (int pass = 0; pass < MISALIGNED_COPIES; pass++)
    copy_bytes((uint8_t *)second + 3 + pass, (uint8_t *)first + 1 + pass * 2, MISALIGNED_BYTES);
  for (size_t i = 0; i < words; i += 61) sum = mix(sum, first[i] + second[i]);

  uint32_t *elements = (uint32_t *)__arena;
  for (size_t i = 0; i < ELEMENTS; i++) elements[i] = (uint32_t)(next_random(&random) >> 32);
  quicksort(elements, elements + ELEMENTS);
  for (size_t i = 1; i < ELEMENTS; i++)
    if (elements[i - 1] > elements[i]) return 0;
  for (size_t i = 0; i < ELEMENTS; i += 1021) sum = mix(sum, elements[i]);
  return sum;
}
