// Page tables, the console, and the rounds: prints "name round checksum ticks instructions" per round, and waits for a
// byte after each line, so that whoever measures the emulator can look at it between two rounds.
#include "user.h"

#ifndef ROUNDS
#define ROUNDS 4
#endif
// A bit per kernel, in the order of the table below.
#ifndef KERNELS
#define KERNELS 0x1ff
#endif

// QEMU's virt board: 16550A at 0x10000000, SiFive test finisher at 0x100000.
#define UART_BASE 0x10000000ul
#define FINISHER_BASE 0x100000ul
#define RAM_BASE 0x80000000ul
#define MAPPED_RAM_BYTES (64ul << 20)

#define LSR_OFFSET 5
#define LSR_DATA_READY 1
#define LSR_TRANSMITTER_EMPTY 0x20
#define FINISHER_PASS 0x5555u
#define FINISHER_FAIL 0x3333u

#define PAGE_BYTES 4096ul
#define ENTRIES 512
// Sv39: 2 MiB per table of 4 KiB pages.
#define LEAF_SPAN (PAGE_BYTES * ENTRIES)
#define LEAF_TABLES (MAPPED_RAM_BYTES / LEAF_SPAN + 3)
#define SATP_SV39 (8ul << 60)
enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

typedef uint64_t page_table[ENTRIES];
static page_table root __attribute__((aligned(4096)));
static page_table middle[4] __attribute__((aligned(4096)));
static page_table leaves[LEAF_TABLES] __attribute__((aligned(4096)));
static unsigned leaf_tables_used;

static uint64_t pointer_to(const void *table) { return ((uint64_t)table >> 12) << 10 | V; }

// Only addresses below 4 GiB, one middle table per GiB.
static void map_page_at(uint64_t address, uint64_t target, unsigned permissions) {
  uint64_t gib = address >> 30, slot = (address >> 21) & 511;
  root[gib] = pointer_to(middle[gib]);
  if (middle[gib][slot] == 0) middle[gib][slot] = pointer_to(leaves[leaf_tables_used++]);
  uint64_t *leaf = (uint64_t *)(middle[gib][slot] >> 10 << 12);
  leaf[(address >> 12) & 511] = (target >> 12) << 10 | V | A | D | permissions;
}

static void map_page(uint64_t address, unsigned permissions) { map_page_at(address, address, permissions); }

static uint8_t user_stacks[USER_STACK_COUNT * USER_STACK_BYTES] __attribute__((aligned(4096)));
struct frame *(*user_call)(struct frame *frame);

// Identity but for user mode, all in 4 KiB pages. Gives the value for satp.
uint64_t build_page_tables(void) {
  for (uint64_t at = RAM_BASE; at < RAM_BASE + MAPPED_RAM_BYTES; at += PAGE_BYTES) map_page(at, R | W | X);
  for (uint64_t at = (uint64_t)__user_start; at < (uint64_t)__user_end; at += PAGE_BYTES)
    map_page_at(USER_CODE + at - (uint64_t)__user_start, at, R | X | U);
  for (uint64_t at = 0; at < sizeof user_stacks; at += PAGE_BYTES)
    map_page_at(USER_STACKS - sizeof user_stacks + at, (uint64_t)user_stacks + at, R | W | U);
  map_page(UART_BASE, R | W);
  map_page(FINISHER_BASE, R | W);
  return SATP_SV39 | (uint64_t)root >> 12;
}

static void put_char(char c) {
  volatile uint8_t *uart = (volatile uint8_t *)UART_BASE;
  while (!(uart[LSR_OFFSET] & LSR_TRANSMITTER_EMPTY)) {
  }
  uart[0] = (uint8_t)c;
}

static void put_text(const char *text) {
  while (*text) put_char(*text++);
}

static void end_line(void) {
  volatile uint8_t *uart = (volatile uint8_t *)UART_BASE;
  put_char('\n');
  while (!(uart[LSR_OFFSET] & LSR_DATA_READY)) {
  }
  (void)uart[0];
}

static void put_hex(uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) put_char("0123456789abcdef"[(value >> shift) & 15]);
}

static void put_decimal(uint64_t value) {
  char digits[20];
  int length = 0;
  do digits[length++] = (char)('0' + value % 10);
  while (value /= 10);
  while (length) put_char(digits[--length]);
}

static void finish(uint32_t code) {
  *(volatile uint32_t *)FINISHER_BASE = code;
  for (;;) {
  }
}

void report_trap(uint64_t cause, uint64_t pc, uint64_t value) {
  put_text("trap ");
  put_hex(cause);
  put_char(' ');
  put_hex(pc);
  put_char(' ');
  put_hex(value);
  put_char('\n');
  finish(1u << 16 | FINISHER_FAIL);
}

static inline uint64_t read_time(void) {
  uint64_t value;
  __asm__ volatile("rdtime %0" : "=r"(value));
  return value;
}

static inline uint64_t read_instret(void) {
  uint64_t value;
  __asm__ volatile("rdinstret %0" : "=r"(value));
  return value;
}

// The compiler calls these two where it likes.
void *memset(void *to, int value, size_t bytes) {
  for (uint8_t *at = to; bytes--;) *at++ = (uint8_t)value;
  return to;
}

void *memcpy(void *to, const void *from, size_t bytes) {
  const uint8_t *source = from;
  for (uint8_t *at = to; bytes--;) *at++ = *source++;
  return to;
}

static const struct {
  const char *name;
  uint64_t (*round)(void);
} kernels[] = {
    {"int", kernel_int}, {"br", kernel_br}, {"mem", kernel_mem}, {"fp", kernel_fp}, {"rnd", kernel_rnd},
    {"sp", kernel_sp},   {"sys", kernel_sys}, {"ctx", kernel_ctx}, {"lz", kernel_lz},
};

void supervisor_main(void) {
  put_text("begin");
  end_line();
  for (unsigned k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
    if (!(KERNELS >> k & 1)) continue;
    for (unsigned round = 0; round < ROUNDS; round++) {
      uint64_t instructions = read_instret(), ticks = read_time();
      uint64_t sum = kernels[k].round();
      ticks = read_time() - ticks;
      instructions = read_instret() - instructions;
      put_text(kernels[k].name);
      put_char(' ');
      put_decimal(round);
      put_char(' ');
      put_hex(sum);
      put_char(' ');
      put_decimal(ticks);
      put_char(' ');
      put_decimal(instructions);
      end_line();
    }
  }
  finish(FINISHER_PASS);
}
