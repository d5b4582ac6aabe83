// An address register of PMP holds bits 55 to 2 of an address; the bits above are zero (privileged spec §3.7.1).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  li t0, -1
  csrw pmpaddr1, t0
  csrr t1, pmpaddr1
  srli t0, t0, 10
  expect_same t1, t0
  j pass
