// Reads and writes every CSR number in every mode, and sends what came of it to the serial port. A record is 12 bytes: stage,
// number (two bytes), pattern, value. What raises an illegal-instruction exception leaves no record; what raises another one
// leaves it with the value of mcause and bit 7 set in its pattern; an illegal one whose trap value is not the instruction leaves
// that with bit 6.
typedef __UINT64_TYPE__ uint64_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT8_TYPE__ uint8_t;

static void putByte(uint8_t byte) { *(volatile uint8_t *)0x10000000 = byte; }

static void record(unsigned stage, unsigned number, unsigned pattern, uint64_t value) {
  putByte(stage);
  putByte(number);
  putByte(number >> 8);
  putByte(pattern);
  for (int i = 0; i < 8; i++) putByte(value >> (8 * i));
}

// Executes two instructions in a mode, with `pattern` in t2, and answers mcause of what ended them; out has t0 and t1.
uint64_t probe(uint64_t mode, uint32_t first, uint32_t second, uint64_t pattern, uint64_t *out);
__asm__(
  ".text\n .balign 4\n"
  "probe:\n"
  "  la t3, slot\n sw a1, 0(t3)\n sw a2, 4(t3)\n fence.i\n"
  "  la t4, back\n csrw mtvec, t4\n"
  "  mv t2, a3\n li t0, 0\n li t1, 0\n"
  "  li t5, 0x1800\n csrc mstatus, t5\n slli t6, a0, 11\n csrs mstatus, t6\n"
  "  csrw mepc, t3\n mret\n"
  "  .option push\n .option norvc\n .balign 4\n"
  "slot: nop\n nop\n ecall\n"
  "back:\n"
  // The only write that can keep its restoration from running is one that turns address translation on.
  "  csrw satp, zero\n"
  "  sd t0, 0(a4)\n sd t1, 8(a4)\n csrr a0, mcause\n ret\n"
  "  .option pop\n");

enum { T0 = 5, T1 = 6, T2 = 7, NOP = 0x13, ILLEGAL = 2, OTHER = 0x80, OTHER_VALUE = 0x40 };
static uint32_t csrrw(unsigned number, unsigned rd, unsigned rs1) {
  return number << 20 | rs1 << 15 | 1 << 12 | rd << 7 | 0x73;
}
static uint32_t csrr(unsigned number, unsigned rd) { return number << 20 | 2 << 12 | rd << 7 | 0x73; }

static const uint64_t patterns[] = {
  0, ~0ul, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x1111111111111111, 0x2222222222222222, 0x4444444444444444,
  0x8888888888888888, 0x1f1f1f1f1f1f1f1f, 0x0f0f0f0f0f0f0f0f, 0x1b1b1b1b1b1b1b1b, 0x0200000000000000,
};

// Bits that stay as they are once they are set: locks of PMP entries, and MML and MMWP of mseccfg.
static uint64_t harmless(unsigned number) {
  if (number >= 0x3a0 && number < 0x3b0) return 0x7f7f7f7f7f7f7f7f;
  return number == 0x747 ? ~3ul : ~0ul;
}

// tdata1 to tdata3: QEMU 10 ends with an assertion when some types are written.
static int isSkipped(unsigned number) { return number >= 0x7a1 && number <= 0x7a3; }

#define READ(csr) ({ uint64_t value; __asm__ volatile("csrr %0, " #csr : "=r"(value)); value; })

// Records what one access came to, and answers whether it was legal.
static int attempt(unsigned stage, unsigned mode, unsigned number, unsigned pattern) {
  const uint64_t value = pattern == 0 ? 0 : patterns[pattern - 1] & harmless(number);
  uint64_t out[2];
  const uint32_t first = pattern == 0 ? csrr(number, T0) : csrrw(number, T0, T2);
  const uint64_t cause = probe(mode, first, pattern == 0 ? NOP : csrrw(number, T1, T0), value, out);
  if (cause == 8 + mode) record(stage, number, pattern, out[pattern != 0]);
  else if (cause != ILLEGAL) record(stage, number, pattern | OTHER, cause);
  else if (READ(mtval) != first) record(stage, number, pattern | OTHER_VALUE, READ(mtval));
  return cause != ILLEGAL;
}

// What can neither be read nor written once is not tried again.
static void visit(unsigned stage, unsigned mode, unsigned number) {
  const int readable = attempt(stage, mode, number, 0);
  if (isSkipped(number) || (!attempt(stage, mode, number, 1) && !readable)) return;
  for (unsigned pattern = 2; pattern <= sizeof patterns / sizeof *patterns; pattern++) attempt(stage, mode, number, pattern);
}

#define TRY_WRITE(number, value) ({ uint64_t out[2]; probe(3, csrrw(number, 0, T2), NOP, value, out); })

enum { RESET, MACHINE, SUPERVISOR_CLOSED, USER_CLOSED, SUPERVISOR_OPEN, USER_OPEN };

static void sweep(unsigned stage, unsigned mode) {
  for (unsigned number = 0; number < 4096; number++) visit(stage, mode, number);
}

int main(void) {
  // What probing itself changes, before it does.
  record(RESET, 0x341, 0, READ(mepc));
  record(RESET, 0x342, 0, READ(mcause));
  record(RESET, 0x343, 0, READ(mtval));
  sweep(MACHINE, 3);
  // All of memory for the lower modes.
  TRY_WRITE(0x3b0, ~0ul);
  TRY_WRITE(0x3a0, 0x1f);
  // Then without what machine mode can take from them: TVM set, the FPU off, and all enables as they are at reset.
  __asm__ volatile("csrs mstatus, %0\n csrc mstatus, %1" ::"r"(1 << 20), "r"(3 << 13));
  sweep(SUPERVISOR_CLOSED, 1);
  sweep(USER_CLOSED, 0);
  __asm__ volatile("csrc mstatus, %0\n csrs mstatus, %1" ::"r"(1 << 20), "r"(3 << 13));
  // And everything that machine mode can let them have: mideleg, mcounteren, menvcfg, mstateen0, scounteren, senvcfg, sstateen0.
  static const unsigned openers[] = {0x303, 0x306, 0x30a, 0x30c, 0x106, 0x10a, 0x10c};
  for (unsigned i = 0; i < sizeof openers / sizeof *openers; i++) TRY_WRITE(openers[i], ~0ul);
  sweep(SUPERVISOR_OPEN, 1);
  sweep(USER_OPEN, 0);
}
