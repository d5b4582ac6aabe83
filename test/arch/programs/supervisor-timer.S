// stimecmp: who may use it, and the interrupt that it gives (Sstc; privileged spec §10.1, §3.1.18).
#include "arch.h"
#define STIMECMP 0x14d
#define MENVCFG 0x30a
  .text
  .globl main
main:
  case 1 // it takes STCE and, below machine mode, mcounteren.TM
  csrw mcounteren, zero
  li t0, 1 << 63
  csrc MENVCFG, t0
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, 0x14d"
  li t0, 1 << 63
  csrs MENVCFG, t0
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, 0x14d"
  csrwi mcounteren, 2
  mode_must_not_trap SUPERVISOR, "csrr t1, 0x14d"
  mode_must_trap USER, ILLEGAL, "csrr t1, 0x14d"
  case 2 // STIP says whether time has reached it, and is not written
  li t0, -1
  csrw STIMECMP, t0
  csrr t1, mip
  andi t1, t1, 0x20
  expect t1, 0
  li t0, 0x20
  csrs mip, t0
  csrr t1, mip
  andi t1, t1, 0x20
  expect t1, 0
  csrw STIMECMP, zero
  csrr t1, mip
  andi t1, t1, 0x20
  expect t1, 0x20
  case 3 // delegated, it is supervisor mode's, and its handler may wait for the next
  li t0, 0x20
  csrw mideleg, t0
  csrw mie, t0
  in_mode USER, "nop"
  expect s1, INTERRUPT | 5
  expect s5, 1
  case 4
  csrci sstatus, SIE
  csrr t0, time
  li t1, 20000
  add t0, t0, t1
  csrw STIMECMP, t0
  mode_must_not_trap SUPERVISOR, "1: wfi; csrr t1, sip; beqz t1, 1b"
  csrr t1, time
  csrr t0, STIMECMP
  bgeu t1, t0, 1f
  j fail
1:
  li t0, -1
  csrw STIMECMP, t0
  csrr t1, mip
  andi t1, t1, 0x20
  expect t1, 0
  j pass
