// TVM, TW and TSR make supervisor mode ask machine mode; user mode may not touch any of it (privileged spec §3.1.6.6).
#include "arch.h"
  .text
  .globl main
main:
  case 1 // all three clear
  mode_must_not_trap SUPERVISOR, "csrr t1, satp"
  mode_must_not_trap SUPERVISOR, "csrw satp, zero"
  mode_must_not_trap SUPERVISOR, "sfence.vma"
  mode_must_not_trap SUPERVISOR, "sfence.vma t0, t1"
  case 2
  mode_must_trap USER, ILLEGAL, "sfence.vma"
  mode_must_trap USER, ILLEGAL, "sret"
  mode_must_trap USER, ILLEGAL, "mret"
  mode_must_trap SUPERVISOR, ILLEGAL, "mret"
  case 3 // TVM
  li t0, TVM
  csrs mstatus, t0
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, satp"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrw satp, zero"
  mode_must_trap SUPERVISOR, ILLEGAL, "sfence.vma"
  mode_must_trap SUPERVISOR, ILLEGAL, "sfence.vma t0, t1"
  must_not_trap "csrr t1, satp"
  must_not_trap "sfence.vma"
  li t0, TVM
  csrc mstatus, t0
  case 4 // TSR
  la t0, 1f
  csrw sepc, t0
  li t0, TSR
  csrs mstatus, t0
  mode_must_trap SUPERVISOR, ILLEGAL, "sret"
  li t0, TSR
  csrc mstatus, t0
  li t0, SPP
  csrs mstatus, t0
  la s0, 2f
  li s1, -1
  li s5, 0
  li t0, MPP
  csrc mstatus, t0
  li t0, 0x800
  csrs mstatus, t0
  la t0, 3f
  csrw mepc, t0
  mret
  .pushsection .text.modes, "ax"
  .balign 4
3:
  sret
  .balign 4
1:
  ecall
  .popsection
2:
  la s0, unexpected
  expect s1, ECALL_S
  expect_address s3, 1b
  case 5 // TW: an interrupt is pending, so that without it wfi ends at once
  csrci sstatus, SIE
  csrwi mideleg, 2
  csrwi mie, 2
  csrsi mip, 2
  mode_must_not_trap SUPERVISOR, "wfi"
  li t0, TW
  csrs mstatus, t0
  must_not_trap "wfi"
  mode_must_trap SUPERVISOR, ILLEGAL, "wfi"
  csrci mip, 2
  mode_must_trap USER, ILLEGAL, "wfi"
  j pass
