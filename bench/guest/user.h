// Programs in user mode that call the supervisor.
#pragma once
#include "platform.h"

// Code of user mode: its pages are mapped at USER_CODE, apart from everything else.
#define USER __attribute__((section(".user"), noinline, noclone))
#define USER_CODE 0x40000000ul
extern uint8_t __user_start[], __user_end[];

// What a trap from user mode saves: trap.S knows the places.
struct frame {
  uint64_t pc;
  // x1 to x31
  uint64_t x[31];
};
enum { SP = 1, A0 = 9, A1 = 10, A7 = 16 };

static inline uint64_t user_address(void *function) { return (uint64_t)function - (uint64_t)__user_start + USER_CODE; }

// Runs user mode from the frame on until `user_call` answers 0.
void enter_user(struct frame *frame);

// Called at each ecall: the frame to go on with, or 0.
extern struct frame *(*user_call)(struct frame *frame);

// Stacks of user mode grow down from here, one below the other.
#define USER_STACKS 0x40200000ul
#define USER_STACK_BYTES 4096ul
#define USER_STACK_COUNT 4

static inline __attribute__((always_inline)) uint64_t call_supervisor(uint64_t number, uint64_t a, uint64_t b) {
  register uint64_t a0 __asm__("a0") = a;
  register uint64_t a1 __asm__("a1") = b;
  register uint64_t a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
  return a0;
}
