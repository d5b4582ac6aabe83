// Hot integer code: list mergesort, int16 matrix product, a state machine over text, CRC-32.
#include "platform.h"

#define NODES 16384
#define SORTS 24
#define SIDE 96
#define PRODUCTS 24
#define TEXT_BYTES 65536
#define SCANS 40
#define CRC_BYTES 65536
#define CRC_PASSES 24

struct node {
  struct node *next;
  int32_t key;
  int32_t order;
};

static struct node *merge(struct node *a, struct node *b) {
  struct node head, *tail = &head;
  while (a && b) {
    if (a->key < b->key || (a->key == b->key && a->order <= b->order)) {
      tail->next = a;
      a = a->next;
    } else {
      tail->next = b;
      b = b->next;
    }
    tail = tail->next;
  }
  tail->next = a ? a : b;
  return head.next;
}

// Bottom up: bin i holds a sorted run of 2^i nodes.
static struct node *sort_list(struct node *list) {
  struct node *bins[32] = {0};
  while (list) {
    struct node *run = list;
    list = list->next;
    run->next = 0;
    int i = 0;
    while (bins[i]) {
      run = merge(bins[i], run);
      bins[i++] = 0;
    }
    bins[i] = run;
  }
  struct node *sorted = 0;
  for (int i = 0; i < 32; i++)
    if (bins[i]) sorted = merge(bins[i], sorted);
  return sorted;
}

static uint64_t lists(struct node *nodes, uint64_t *random) {
  uint64_t sum = 0;
  for (int pass = 0; pass < SORTS; pass++) {
    for (int i = 0; i < NODES; i++) {
      nodes[i].key = (int32_t)(next_random(random) >> 40);
      nodes[i].order = i;
      nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
    }
    int32_t place = 0;
    for (struct node *n = sort_list(nodes); n; n = n->next) sum += (uint64_t)(uint32_t)(n->key ^ place++);
    sum = mix(sum, (uint64_t)place);
  }
  return sum;
}

static uint64_t matrices(int16_t *a, int16_t *b, int32_t *c, uint64_t *random) {
  for (int i = 0; i < SIDE * SIDE; i++) {
    a[i] = (int16_t)next_random(random);
    b[i] = (int16_t)next_random(random);
  }
  uint64_t sum = 0;
  for (int pass = 0; pass < PRODUCTS; pass++) {
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        uint32_t cell = 0;
        for (int k = 0; k < SIDE; k++) cell += (uint32_t)((int32_t)a[i * SIDE + k] * b[k * SIDE + j]);
        c[i * SIDE + j] = (int32_t)cell;
      }
    for (int i = 0; i < SIDE * SIDE; i++) {
      sum += (uint64_t)(int64_t)c[i];
      a[i] = (int16_t)(a[i] + (c[i] >> 5));
    }
    sum = mix(sum, (uint64_t)pass);
  }
  return sum;
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER, BAD, STATES };

static enum state step(enum state state, uint8_t c) {
  int digit = c >= '0' && c <= '9';
  switch (state) {
    case START: return digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : BAD;
    case SIGN: return digit ? DIGITS : c == '.' ? POINT : BAD;
    case DIGITS: return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case POINT: return digit ? FRACTION : BAD;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case EXPONENT: return digit ? POWER : c == '+' || c == '-' ? EXPONENT_SIGN : BAD;
    case EXPONENT_SIGN: return digit ? POWER : BAD;
    case POWER: return digit ? POWER : BAD;
    default: return BAD;
  }
}

static uint64_t machines(uint8_t *text, uint64_t *random) {
  static const char alphabet[32] = "0123456789012345678901,,,,..ee+-";
  for (int i = 0; i < TEXT_BYTES; i++) text[i] = (uint8_t)alphabet[next_random(random) >> 59];
  uint32_t ended[STATES] = {0}, passed[STATES] = {0};
  for (int pass = 0; pass < SCANS; pass++) {
    enum state state = START;
    for (int i = 0; i < TEXT_BYTES; i++) {
      if (text[i] == ',') {
        ended[state]++;
        state = START;
      } else {
        state = step(state, text[i]);
        passed[state]++;
      }
    }
    text[pass * 7] ^= 1;
  }
  uint64_t sum = 0;
  for (int i = 0; i < STATES; i++) sum = mix(sum, (uint64_t)ended[i] << 32 | passed[i]);
  return sum;
}

static uint64_t crcs(uint8_t *bytes, uint64_t *random) {
  for (int i = 0; i < CRC_BYTES; i++) bytes[i] = (uint8_t)next_random(random);
  uint32_t crc = 0xffffffffu;
  for (int pass = 0; pass < CRC_PASSES; pass++)
    for (int i = 0; i < CRC_BYTES; i++) {
      crc ^= bytes[i];
      for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
    }
  return ~crc;
}

uint64_t kernel_int(void) {
  uint64_t random = 0x123456789abcdefu;
  uint64_t sum = lists((struct node *)__arena, &random);
  sum = mix(sum, matrices((int16_t *)__arena, (int16_t *)(__arena + 0x10000), (int32_t *)(__arena + 0x20000), &random));
  sum = mix(sum, machines(__arena, &random));
  return mix(sum, crcs(__arena, &random));
}
