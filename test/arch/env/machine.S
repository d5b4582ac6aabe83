// The physical environment: `main` runs in machine mode on hart 0; other harts go to `other_hart` where a program has it.
#include "arch.h"
  .section .start, "ax"
  .globl _start
  .weak other_hart
_start:
  j reset
  .balign 4
  .globl trap_entry
trap_entry:
  csrr t6, mcause
  li t5, 9
  bne t6, t5, 1f
  beqz s5, 1f
  jr s0 // the supervisor's handler has noted its trap
1:
  mv s1, t6
  csrr s2, mtval
  csrr s3, mepc
  csrr s4, mstatus
  jr s0

  .balign 4
  .globl supervisor_trap_entry
supervisor_trap_entry:
  csrr s1, scause
  csrr s2, stval
  csrr s3, sepc
  csrr s4, sstatus
  li s5, 1
  ecall

reset:
  mv s8, a0
  mv s9, a1
  csrr t0, mhartid
  slli t1, t0, 12
  la sp, program_end
  sub sp, sp, t1
  bnez t0, park

  // What may not be there traps, and is passed over.
  la t0, 1f
  csrw mtvec, t0
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  .balign 4
1:
  la t0, 2f
  csrw mtvec, t0
  csrw medeleg, zero
  csrw mideleg, zero
  la t0, supervisor_trap_entry
  csrw stvec, t0
  .balign 4
2:
  la t0, trap_entry
  csrw mtvec, t0
  li t0, FS
  csrs mstatus, t0
  la s0, unexpected
  li gp, 0
  li s11, 0
  call main
  .globl pass
pass:
  li a0, 0
  j finish

  .globl unexpected
unexpected:
  mv s11, s1
  .globl fail
fail:
  mv a0, gp
  mv a1, s11
  bnez a0, finish
  li a0, 0xff // no case was reached
  j finish

park:
  la t0, other_hart
  beqz t0, 1f
  jr t0
1:
  wfi
  j 1b
