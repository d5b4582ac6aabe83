// Trap vectors: direct for exceptions, by cause for interrupts, in both modes; what is reserved is not taken (privileged spec
// §3.1.7, §10.1.2).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  la t0, table
  addi t1, t0, 1
  csrw mtvec, t1
  csrr t2, mtvec
  expect_same t2, t1
  csrw mie, zero
  csrsi mie, 2
  csrsi mip, 2
  li s10, -1
  la s0, 1f
  csrsi mstatus, MIE
2:
  j 2b
1:
  expect s10, 1
  csrr t0, mcause
  expect t0, INTERRUPT | 1
  csrr t0, mepc
  expect_address t0, 2b
  csrci mip, 2
  case 2 // exceptions go to the base
  li s10, -1
  la s0, 1f
  ecall
1:
  expect s10, 0
  case 3 // a machine software interrupt by its device
  li t0, 8
  csrw mie, t0
  li t0, CLINT
  li t1, 1
  li s10, -1
  la s0, 1f
  csrsi mstatus, MIE
  sw t1, (t0)
2:
  j 2b
1:
  expect s10, 3
  li t0, CLINT
  sw zero, (t0)
  csrw mie, zero
  case 4 // supervisor mode
  la t0, supervisor_table + 1
  csrw stvec, t0
  csrr t1, stvec
  expect_same t1, t0
  li t0, 2
  csrw mideleg, t0
  csrw mie, t0
  csrsi mip, 2
  la t0, trap_entry
  csrw mtvec, t0
  li s10, -1
  in_mode USER, "nop"
  expect s10, 1
  li t0, 1 << ECALL_U
  csrw medeleg, t0
  csrw mie, zero
  li s10, -1
  in_mode USER, "ecall"
  expect s10, 0
  case 5 // reserved modes are not taken
  la t0, trap_entry
  csrw mtvec, t0
  ori t1, t0, 2
  csrw mtvec, t1
  csrr t2, mtvec
  andi t2, t2, 3
  li t3, 2
  bltu t2, t3, 1f
  j fail
1:
  csrw mtvec, t0
  j pass

  .macro arrive number
  li s10, \number
  j arrived
  .endm
  .balign 256
  .option push
  .option norvc
table:
  j exception
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  j interrupt\n
  .endr
exception:
  li s10, 0
  j arrived
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
interrupt\n:
  li s10, \n
  j arrived
  .endr
arrived:
  csrci mstatus, MIE
  jr s0

  .balign 256
supervisor_table:
  j 1f
  j 2f
1:
  li s10, 0
  li s5, 1
  csrr s3, sepc
  ecall
2:
  li s10, 1
  li s5, 1
  csrr s3, sepc
  csrci sip, 2
  ecall
  .option pop
