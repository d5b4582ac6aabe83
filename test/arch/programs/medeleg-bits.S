// An ecall of machine mode cannot be delegated: its bit of medeleg is read-only zero (privileged spec §3.1.8).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  li t0, -1
  csrw medeleg, t0
  csrr t0, medeleg
  srli t0, t0, ECALL_M
  andi t0, t0, 1
  expect t0, 0
  j pass
