// Of several interrupts the external comes first, then the software, then the timer one; machine mode's before the
// supervisor's (privileged spec §3.1.9, §10.1.3).
#include "arch.h"
  .text
  .globl main
main:
  li t0, MTIMECMP
  li t1, -1
  sd t1, (t0)
  case 1 // delegated
  li t0, 0x222
  csrw mideleg, t0
  csrw mie, t0
  csrs mip, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 9
  li t0, 0x200
  csrc mip, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 1
  csrci mip, 2
  in_mode USER, "nop"
  expect s1, INTERRUPT | 5
  case 2 // not delegated
  csrw mideleg, zero
  li t0, 0x222
  csrs mip, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 9
  li t0, 0x200
  csrc mip, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 1
  case 3 // machine mode's own, software before timer
  li t0, 0x2aa
  csrw mie, t0
  li t0, CLINT
  li t1, 1
  sw t1, (t0)
  li t0, MTIMECMP
  sd zero, (t0)
1:
  csrr t1, mip
  andi t1, t1, 0x88
  li t2, 0x88
  bne t1, t2, 1b
  in_mode USER, "nop"
  expect s1, INTERRUPT | 3
  li t0, CLINT
  sw zero, (t0)
  in_mode USER, "nop"
  expect s1, INTERRUPT | 7
  case 4 // an interrupt for machine mode comes before a delegated one
  li t0, 0x222
  csrw mideleg, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 7
  expect s5, 0
  j pass
