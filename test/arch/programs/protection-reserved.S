// pmpcfg takes no entry that is writable and not readable, and its reserved bits are zero (privileged spec §3.7.1).
#include "arch.h"
#define R 1
#define W 2
  .text
  .globl main
main:
  case 1
  csrw pmpcfg0, zero
  li t0, 0x7a
  csrw pmpcfg0, t0
  csrr t1, pmpcfg0
  andi t2, t1, 0x60
  expect t2, 0
  andi t2, t1, R | W
  li t3, W
  bne t2, t3, 1f
  j fail
1:
  j pass
