// mstatus and sstatus: which fields there are, what they take, and what a trap and a return do to them (privileged spec
// §3.1.6, §10.1.1).
#include "arch.h"
  .text
  .globl main
main:
  case 1 // MPP takes modes that exist
  li t0, MPP
  csrs mstatus, t0
  csrr t1, mstatus
  and t1, t1, t0
  expect t1, MPP
  li t1, 0x1000
  csrw mstatus, t1 // 2 names no mode
  csrr t1, mstatus
  li t0, MPP
  and t1, t1, t0
  li t2, 0x1000
  bne t1, t2, 1f
  j fail
1:
  case 2 // the lengths of registers are 64 bits
  csrr t0, mstatus
  srli t0, t0, 32
  andi t0, t0, 15
  expect t0, 10
  csrr t0, sstatus
  srli t0, t0, 32
  andi t0, t0, 15
  expect t0, 2
  case 3 // sstatus is a part of mstatus
  li t0, SIE | SPIE | SPP | SUM | MXR
  csrs sstatus, t0
  csrr t1, mstatus
  and t1, t1, t0
  expect t1, SIE | SPIE | SPP | SUM | MXR
  csrc mstatus, t0
  csrr t1, sstatus
  and t1, t1, t0
  expect t1, 0
  li t0, MIE | MPIE | MPP | MPRV | TVM | TW | TSR
  csrw mstatus, zero
  csrs sstatus, t0
  csrr t1, mstatus
  li t0, MIE | MPIE | MPRV | TVM | TW | TSR
  and t1, t1, t0
  expect t1, 0
  case 4 // TVM, TW and TSR are there
  li t0, TVM | TW | TSR
  csrs mstatus, t0
  csrr t1, mstatus
  and t1, t1, t0
  expect t1, TVM | TW | TSR
  csrc mstatus, t0
  case 5 // FS: off, then dirty once a register is written, and SD sums it up
  li t0, FS
  csrc mstatus, t0
  csrr t1, mstatus
  bgez t1, 1f
  j fail
1:
  li t0, 0x2000
  csrs mstatus, t0
  csrr t1, mstatus
  bgez t1, 1f
  j fail
1:
  fmv.d.x f1, zero
  csrr t1, mstatus
  li t0, FS
  and t2, t1, t0
  expect t2, FS
  bltz t1, 1f
  j fail
1:
  case 6 // a trap to machine mode keeps MIE in MPIE, mret gives it back and sets MPIE
  csrci mstatus, MIE
  li t0, MPIE
  csrs mstatus, t0
  must_trap ECALL_M, "ecall"
  csrr t1, mstatus
  andi t1, t1, MIE | MPIE
  expect t1, 0
  csrw mie, zero
  csrsi mstatus, MIE
  must_trap ECALL_M, "ecall"
  csrr t1, mstatus
  andi t1, t1, MIE | MPIE
  expect t1, MPIE
  li t0, MPP
  csrs mstatus, t0
  la t0, 1f
  csrw mepc, t0
  mret
1:
  csrr t1, mstatus
  andi t2, t1, MIE | MPIE
  expect t2, MIE | MPIE
  li t0, MPP // the least privileged mode now
  and t1, t1, t0
  expect t1, 0
  csrci mstatus, MIE
  case 7 // and so with a trap to supervisor mode and sret
  li t0, 1 << BREAKPOINT
  csrw medeleg, t0
  csrci sstatus, SIE
  csrsi sstatus, SIE
  in_mode SUPERVISOR, "ebreak"
  expect s5, 1
  andi t0, s4, SIE
  expect t0, 0
  andi t0, s4, SPIE
  expect t0, SPIE
  andi t0, s4, SPP
  expect t0, SPP
  la t0, 2f
  csrw sepc, t0
  csrci sstatus, SIE
  la s0, 1f
  li s1, -1
  li s5, 0
  sret
  .pushsection .text.modes, "ax"
  .balign 4
2:
  csrr t1, sstatus
  ecall
  .popsection
1:
  la s0, unexpected
  expect s1, ECALL_S
  andi t2, t1, SIE | SPIE
  expect t2, SIE | SPIE
  andi t2, t1, SPP
  expect t2, 0
  csrci sstatus, SIE
  csrw medeleg, zero
  case 8 // leaving machine mode ends MPRV, staying does not
  li t0, MPRV
  csrs mstatus, t0
  mode_must_not_trap SUPERVISOR, "nop"
  li t0, MPRV
  and t1, s4, t0
  expect t1, 0
  li t0, MPP
  csrs mstatus, t0
  li t0, MPRV
  csrs mstatus, t0
  la t0, 1f
  csrw mepc, t0
  mret
1:
  csrr t1, mstatus
  li t0, MPRV
  csrc mstatus, t0
  and t1, t1, t0
  expect t1, MPRV
  j pass
