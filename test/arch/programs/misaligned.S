// Misaligned loads and stores are carried out, over page boundaries too; atomics and LR/SC are not (unprivileged spec §2.6,
// §14.4; privileged spec §3.6.4). Traps have the address as their value and change nothing.
#include "arch.h"
  .text
  .globl main
main:
  case 1
  la t0, bytes
  li t1, 0x0807060504030201
  sd t1, (t0)
  li t1, 0x100f0e0d0c0b0a09
  sd t1, 8(t0)
  lhu t1, 1(t0)
  expect t1, 0x0302
  lw t1, 3(t0)
  expect t1, 0x07060504
  ld t1, 5(t0)
  expect t1, 0x0d0c0b0a09080706
  fld f1, 7(t0)
  fmv.x.d t1, f1
  expect t1, 0x0f0e0d0c0b0a0908
  case 2
  li t1, 0xa1a2a3a4a5a6a7a8
  sd t1, 3(t0)
  ld t2, (t0)
  expect t2, 0xa4a5a6a7a8030201
  ld t2, 8(t0)
  expect t2, 0x100f0e0d0ca1a2a3
  case 3 // over a page boundary
  la t0, boundary
  li t1, 0x1122334455667788
  sd t1, -3(t0)
  ld t2, -3(t0)
  expect_same t2, t1
  lbu t2, -1(t0)
  expect t2, 0x66
  lbu t2, (t0)
  expect t2, 0x55
  lw t2, -2(t0)
  expect t2, 0x44556677
  case 4
  la t0, bytes + 1
  must_trap STORE_MISALIGNED, "amoadd.w t1, t1, (t0)"
  expect_same s2, t0
  must_trap STORE_MISALIGNED, "amoswap.d t1, t1, (t0)"
  expect_same s2, t0
  must_trap LOAD_MISALIGNED, "lr.w t1, (t0)"
  expect_same s2, t0
  must_trap STORE_MISALIGNED, "sc.d t1, t1, (t0)"
  expect_same s2, t0
  addi t0, t0, 3
  must_not_trap "amoadd.w t1, zero, (t0)"
  must_trap STORE_MISALIGNED, "amoadd.d t1, zero, (t0)"
  case 5 // with compressed instructions a jump to two bytes is none
  la t0, 1f
  jr t0
  .option norvc
  .balign 4
  .2byte 1
1:
  nop
  case 6 // the lowest bit of jalr's sum is dropped
  la t0, 1f + 1
  jalr t1, (t0)
  j fail
  .balign 4
1:
  j pass

  .bss
  .balign 4096
bytes: .space 4096
boundary: .space 4096
