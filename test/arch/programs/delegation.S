// Which exceptions and interrupts supervisor mode takes, and what it sees of the registers (privileged spec §3.1.8, §3.1.9).
#include "arch.h"
  .text
  .globl main
main:
  case 1 // medeleg takes the exceptions that supervisor mode can have
  li t0, 0xb3ff
  csrw medeleg, t0
  csrr t1, medeleg
  li t2, 0xb1ff
  and t1, t1, t2
  expect_same t1, t2
  csrw medeleg, zero
  case 2 // mideleg takes the supervisor's interrupts and none of machine mode's
  li t0, -1
  csrw mideleg, t0
  csrr t1, mideleg
  li t2, 0xaaa
  and t1, t1, t2
  expect t1, 0x222
  case 3 // sie and sip show what is delegated
  li t0, 0xaaa
  csrw mie, t0
  csrr t1, sie
  expect t1, 0x222
  csrw mideleg, zero
  csrr t1, sie
  expect t1, 0
  csrsi mip, 2
  csrr t1, sip
  expect t1, 0
  li t0, 0x222
  csrw mideleg, t0
  csrr t1, sip
  expect t1, 2
  case 4 // through sip only SSIP can be written
  li t0, 0x222
  csrs sip, t0
  csrr t1, mip
  li t2, 0x222
  and t1, t1, t2
  expect t1, 2
  csrci sip, 2
  csrr t1, mip
  andi t1, t1, 2
  expect t1, 0
  case 5 // machine mode writes SEIP and SSIP of mip
  li t0, 0x202
  csrs mip, t0
  csrr t1, mip
  li t2, 0x202
  and t1, t1, t2
  expect t1, 0x202
  li t0, 0x202
  csrc mip, t0
  case 6 // machine mode does not take what is delegated
  csrw mie, zero
  csrsi mie, 2
  csrsi mip, 2
  csrsi mstatus, MIE
  nop
  csrci mstatus, MIE
  case 7 // supervisor mode takes it when SIE is set, user mode in any case
  mode_must_not_trap SUPERVISOR, "nop"
  csrsi sstatus, SIE
  in_mode SUPERVISOR, "nop"
  expect s1, INTERRUPT | 1
  expect s5, 1
  expect_same s3, s6
  csrsi mip, 2
  csrci sstatus, SIE
  in_mode USER, "nop"
  expect s1, INTERRUPT | 1
  expect s5, 1
  case 8 // not delegated, machine mode takes it from below whatever MIE is
  csrw mideleg, zero
  in_mode SUPERVISOR, "nop"
  expect s1, INTERRUPT | 1
  expect s5, 0
  csrw mie, zero
  j pass
