// Branches that are hard to see through: a bytecode interpreter, calls through a table, recursion.
#include "platform.h"

#define PROGRAM_RUNS 24
#define CALLS 2000000
#define FIB_OF 30

enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHIFT, LESS, JUMP, JUMP_ZERO, SWAP, HALT };

// for (v0 = 20000; v0; v0--) { v1 = (v1 * 33 ^ v0) >> 1; v1 < v2 ? v2 -= v1 : v2 += v0; }; the index of each line behind it
static const int32_t program[] = {
    PUSH, 20000, STORE, 0,                                    // 0
    LOAD, 0, JUMP_ZERO, 52,                                   // 4
    LOAD, 1, PUSH, 33, MUL, LOAD, 0, XOR, SHIFT, STORE, 1,    // 8
    LOAD, 1, LOAD, 2, LESS, JUMP_ZERO, 35,                    // 19
    LOAD, 2, LOAD, 1, SUB, STORE, 2,                          // 26
    JUMP, 43,                                                 // 33
    LOAD, 2, LOAD, 0, SWAP, ADD, STORE, 2,                    // 35
    LOAD, 0, PUSH, 1, SUB, STORE, 0, JUMP, 4,                 // 43
    HALT,
};

static int64_t interpret(int64_t seed) {
  int64_t stack[16], variables[3] = {0, seed, 7};
  int64_t *top = stack;
  const int32_t *code = program;
  for (;;) {
    switch ((enum op)*code++) {
      case PUSH: *top++ = *code++; break;
      case LOAD: *top++ = variables[*code++]; break;
      case STORE: variables[*code++] = *--top; break;
      case ADD: top--; top[-1] += top[0]; break;
      case SUB: top--; top[-1] -= top[0]; break;
      case MUL: top--; top[-1] = (int64_t)((uint64_t)top[-1] * (uint64_t)top[0]); break;
      case XOR: top--; top[-1] ^= top[0]; break;
      case SHIFT: top[-1] = (int64_t)((uint64_t)top[-1] >> 1 & 0xffffffff); break;
      case LESS: top--; top[-1] = top[-1] < top[0]; break;
      case JUMP: code = program + *code; break;
      case JUMP_ZERO: code = *--top ? code + 1 : program + *code; break;
      case SWAP: {
        int64_t other = top[-1];
        top[-1] = top[-2];
        top[-2] = other;
        break;
      }
      case HALT: return variables[2] ^ variables[1];
    }
  }
}

typedef uint64_t (*operation)(uint64_t, uint64_t);
#define OPERATION(name, expression) \
  __attribute__((noinline)) static uint64_t name(uint64_t a, uint64_t b) { return expression; }
OPERATION(plus, a + b)
OPERATION(minus, a - (b << 1))
OPERATION(times, a * (b | 1))
OPERATION(both, (a & b) + 0x5bd1e995)
OPERATION(rotate, (a << 13 | a >> 51) + b)
OPERATION(differ, a ^ b)
OPERATION(select_one, a & 1 ? b : ~a)
OPERATION(halve, (a >> 1) + b)

static const operation operations[8] = {plus, minus, times, both, rotate, differ, select_one, halve};

static uint64_t call_through_table(uint64_t value) {
  uint64_t other = 0x2545f4914f6cdd1du;
  for (int i = 0; i < CALLS; i++) {
    uint64_t result = operations[(value ^ value >> 17) & 7](value, other);
    other += value >> 3;
    value = result + (uint64_t)i;
  }
  return value ^ other;
}

// Not into itself either.
__attribute__((noipa)) static uint64_t fib(uint64_t n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint64_t kernel_br(void) {
  uint64_t sum = 0;
  for (int i = 0; i < PROGRAM_RUNS; i++) sum = mix(sum, (uint64_t)interpret(i * 1027 + 1));
  sum = mix(sum, call_through_table(sum));
  return mix(sum, fib(FIB_OF));
}
