// Compression: a text is packed with a hash table of three-byte beginnings, as LZ4 does it, unpacked, and compared.
#include "platform.h"

#define TEXT_BYTES (256u << 10)
#define PASSES 8
#define HASH_BITS 13
#define LEAST_MATCH 4
#define MOST_LITERALS 128
#define MOST_MATCH 131
#define WINDOW 65535u

static uint32_t word_at(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void make_text(uint8_t *text, uint64_t *random) {
  static const char words[16][8] = {"memory ", "guest ", "the ", "page ", "of ", "table ", "and ", "a ",
                                    "walks ", "region", "in ", "code ", "is ", "level ", "to ", "entry\n"};
  for (uint32_t at = 0; at < TEXT_BYTES;) {
    const char *word = words[next_random(random) >> 60];
    while (*word && at < TEXT_BYTES) text[at++] = (uint8_t)*word++;
    if ((next_random(random) & 31) == 0 && at < TEXT_BYTES) text[at++] = (uint8_t)next_random(random);
  }
}

static uint8_t *put_literals(uint8_t *out, const uint8_t *from, uint32_t count) {
  while (count) {
    uint32_t some = count < MOST_LITERALS ? count : MOST_LITERALS;
    *out++ = (uint8_t)(some - 1);
    count -= some;
    while (some--) *out++ = *from++;
  }
  return out;
}

// A byte below 128: that many literals and one. From 128 on: a match, its length, then its distance in two bytes.
static uint32_t pack(uint8_t *packed, const uint8_t *text, uint32_t *heads) {
  for (uint32_t i = 0; i < 1u << HASH_BITS; i++) heads[i] = 0;
  uint8_t *out = packed;
  uint32_t at = 1, unwritten = 0;
  while (at + MOST_MATCH < TEXT_BYTES) {
    uint32_t slot = word_at(text + at) * 2654435761u >> (32 - HASH_BITS);
    uint32_t before = heads[slot];
    heads[slot] = at;
    if (at - before > WINDOW || word_at(text + before) != word_at(text + at)) {
      at++;
      continue;
    }
    uint32_t length = LEAST_MATCH;
    while (length < MOST_MATCH && text[before + length] == text[at + length]) length++;
    out = put_literals(out, text + unwritten, at - unwritten);
    *out++ = (uint8_t)(128 + length - LEAST_MATCH);
    *out++ = (uint8_t)(at - before);
    *out++ = (uint8_t)((at - before) >> 8);
    at += length;
    unwritten = at;
  }
  return (uint32_t)(put_literals(out, text + unwritten, TEXT_BYTES - unwritten) - packed);
}

static uint32_t unpack(uint8_t *text, const uint8_t *packed, uint32_t bytes) {
  uint8_t *out = text;
  const uint8_t *end = packed + bytes;
  while (packed < end) {
    uint32_t code = *packed++;
    if (code < 128) {
      for (uint32_t i = 0; i <= code; i++) *out++ = *packed++;
      continue;
    }
    const uint8_t *from = out - (packed[0] | (uint32_t)packed[1] << 8);
    packed += 2;
    for (uint32_t i = 0; i < code - 128 + LEAST_MATCH; i++) *out++ = *from++;
  }
  return (uint32_t)(out - text);
}

uint64_t kernel_lz(void) {
  uint64_t random = 0x2718281828459045u, sum = 0;
  uint8_t *text = __arena, *packed = text + TEXT_BYTES, *again = packed + 2 * TEXT_BYTES;
  uint32_t *heads = (uint32_t *)(again + TEXT_BYTES);
  for (int pass = 0; pass < PASSES; pass++) {
    make_text(text, &random);
    uint32_t bytes = pack(packed, text, heads);
    if (unpack(again, packed, bytes) != TEXT_BYTES) return 0;
    for (uint32_t i = 0; i < TEXT_BYTES; i++)
      if (text[i] != again[i]) return 0;
    sum = mix(sum, bytes);
  }
  return sum;
}
