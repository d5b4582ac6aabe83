// With -icount shift=0 an instruction takes a nanosecond: time, which ticks every hundred of them, follows from the number of
// instructions; a wait takes as long as its timer says, or longer.
#include "arch.h"
  .text
  .globl main
main:
  .option norvc
  case 1
  csrr s7, time
  li t0, 50000
1:
  addi t0, t0, -1
  bnez t0, 1b
  csrr s8, time
  sub s8, s8, s7
  addi s8, s8, -999 // 1000 ticks, give or take one
  li t0, 3
  bltu s8, t0, 1f
  j fail
1:
  case 2
  li t0, MTIMECMP
  csrr s7, time
  li t1, 20000
  add t1, t1, s7
  sd t1, (t0)
  li t2, 0x80
  csrw mie, t2
1:
  wfi
  csrr t2, mip
  andi t2, t2, 0x80
  beqz t2, 1b
  csrr s8, time
  sub s8, s8, s7
  li t1, 20000
  bgeu s8, t1, 1f
  j fail
1:
  j pass
