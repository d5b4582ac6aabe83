// ecall and ebreak: their causes in each mode, the pc, the trap value, and who takes them (privileged spec §3.1.15, §3.3.1).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  must_trap ECALL_M, "ecall"
  expect s2, 0
  case 2
  mode_must_trap USER, ECALL_U, "ecall"
  expect s2, 0
  expect s5, 0
  case 3
  mode_must_trap SUPERVISOR, ECALL_S, "ecall"
  expect s2, 0
  case 4
  must_trap BREAKPOINT, "ebreak"
  case 5
  mode_must_trap USER, BREAKPOINT, "ebreak"
  case 6 // MPP tells the mode that trapped
  mode_must_trap USER, ECALL_U, "ecall"
  li t0, MPP
  and t1, s4, t0
  expect t1, 0
  mode_must_trap SUPERVISOR, ECALL_S, "ecall"
  li t0, MPP
  and t1, s4, t0
  expect t1, 0x800
  must_trap ECALL_M, "ecall"
  li t0, MPP
  and t1, s4, t0
  expect t1, MPP
  case 7 // the compressed form
  la s0, 1f
  li s1, -1
2:
  c.ebreak
1:
  la s0, unexpected
  expect s1, BREAKPOINT
  la t0, 2b
  expect_same s3, t0
  case 8 // delegated to supervisor mode from below machine mode only
  li t0, (1 << ECALL_U) | (1 << BREAKPOINT)
  csrw medeleg, t0
  mode_must_trap USER, ECALL_U, "ecall"
  expect s5, 1
  andi t0, s4, SPP
  expect t0, 0
  mode_must_trap SUPERVISOR, BREAKPOINT, "ebreak"
  expect s5, 1
  andi t0, s4, SPP
  expect t0, SPP
  must_trap BREAKPOINT, "ebreak"
  expect s5, 0
  j pass
