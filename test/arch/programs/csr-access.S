// CSRs by mode: which may be touched where, which do not exist, which may only be read (privileged spec §2.1).
#include "arch.h"
  .text
  .globl main
main:
  case 1 // machine registers from below
  mode_must_trap USER, ILLEGAL, "csrr t1, mstatus"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, mstatus"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, mhartid"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrw pmpaddr0, t1"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, medeleg"
  case 2 // supervisor registers from user mode
  mode_must_trap USER, ILLEGAL, "csrr t1, sstatus"
  mode_must_trap USER, ILLEGAL, "csrw sscratch, t1"
  mode_must_trap USER, ILLEGAL, "csrr t1, satp"
  mode_must_not_trap SUPERVISOR, "csrr t1, sstatus"
  mode_must_not_trap SUPERVISOR, "csrr t1, satp"
  case 3 // read-only ones
  must_trap ILLEGAL, "csrw mhartid, t1"
  must_trap ILLEGAL, "csrrw t1, cycle, zero"
  must_trap ILLEGAL, "csrsi mvendorid, 1"
  must_not_trap "csrrs t1, mhartid, zero"
  must_not_trap "csrrci t1, mvendorid, 0"
  case 4 // numbers without a register, and the upper halves that only RV32 has
  must_trap ILLEGAL, "csrr t1, 0x800"
  must_trap ILLEGAL, "csrr t1, 0xcff"
  must_trap ILLEGAL, "csrr t1, 0xc80"
  must_trap ILLEGAL, "csrr t1, 0xb80"
  must_trap ILLEGAL, "csrr t1, 0x310"
  must_trap ILLEGAL, "csrr t1, 0x3a1"
  must_trap ILLEGAL, "csrr t1, 0x31a"
  must_trap ILLEGAL, "csrr t1, 0x15d"
  case 5 // what programs for other harts probe with
  expect_trap_of "csrwi 0x744, 8"
  expect_trap_of "csrwi 0x747, 0"
  expect_trap_of "csrr t1, 0x7b0"
  must_trap ILLEGAL, "csrr t1, 0x7b0"
  case 6 // the six forms on mscratch
  li t0, 0x123456789abcdef0
  csrw mscratch, t0
  csrrs t1, mscratch, zero
  expect_same t1, t0
  li t2, 0xff
  csrrs t1, mscratch, t2
  expect t1, 0x123456789abcdef0
  csrrc t1, mscratch, t2
  expect t1, 0x123456789abcdeff
  csrrwi t1, mscratch, 21
  expect t1, 0x123456789abcde00
  csrrsi t1, mscratch, 10
  expect t1, 21
  csrrci t1, mscratch, 17
  expect t1, 31
  csrr t1, mscratch
  expect t1, 14
  case 7 // source and destination may be one register, and x0 is not written
  li t0, 77
  csrrw t0, mscratch, t0
  expect t0, 14
  csrrw zero, mscratch, t0
  expect zero, 0
  csrr t0, mscratch
  expect t0, 14
  j pass
