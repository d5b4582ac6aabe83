// The virtual environment: `main` runs in user mode in a window of pages that supervisor mode (pager.c) fills on demand.
#include "arch.h"
  .section .start, "ax"
  .globl _start
_start:
  csrr t0, mhartid
0:
  bnez t0, 0b
  la sp, program_end
  la t0, machine_trap
  csrw mtvec, t0
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  li t0, 0xb100 // ecall of U-mode and page faults
  csrw medeleg, t0
  la t0, supervisor_trap
  csrw stvec, t0
  li t0, FS | (1 << 11)
  csrw mstatus, t0
  la t0, pager_start
  csrw mepc, t0
  mret

  .balign 4
machine_trap:
  csrr t0, mcause
  li t1, ECALL_S
  beq t0, t1, finish
  mv a1, t0
  li a0, 0xfe
  j finish

// Leaves for user mode with the registers at a0: x1 to x31, then the pc.
  .text
  .globl resume
resume:
  csrw sscratch, a0
  ld t0, 256(a0)
  csrw sepc, t0
  .irp r, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  ld x\r, 8 * \r(a0)
  .endr
  ld a0, 80(a0)
  sret

  .balign 4
supervisor_trap:
  csrrw a0, sscratch, a0
  .irp r, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  sd x\r, 8 * \r(a0)
  .endr
  csrr t0, sscratch
  sd t0, 80(a0)
  csrr t0, sepc
  sd t0, 256(a0)
  la sp, program_end
  csrr a1, scause
  csrr a2, stval
  call pager_trap
  j resume

// Tells machine mode: a0 is 0 or a failed case, a1 its row.
  .globl report
report:
  ecall

// In user mode.
  .section .body, "ax"
  .globl pass, fail
pass:
  li a0, 0
  ecall
fail:
  mv a0, gp
  mv a1, s11
  ecall
