// Compressed instructions do what those do that they stand for (unprivileged spec §26), in sequence with 32-bit ones at any
// half-word, a page boundary included.
#include "arch.h"
  .text
  .globl main
main:
  .option rvc
  case 1
  li sp, 0x1000
  c.addi4spn a0, sp, 1020
  expect a0, 0x13fc
  c.addi16sp sp, -512
  expect sp, 0xe00
  c.addi16sp sp, 496
  expect sp, 0xff0
  case 2
  la a1, words
  c.lw a0, 4(a1)
  expect a0, 0xffffffff89abcdef
  c.ld a0, 0(a1)
  expect a0, 0x89abcdef01234567
  c.sd a0, 8(a1)
  c.sw a1, 16(a1)
  ld a2, 8(a1)
  expect_same a2, a0
  c.fld fa0, 0(a1)
  c.fsd fa0, 24(a1)
  ld a2, 24(a1)
  expect_same a2, a0
  case 3
  la sp, words
  c.lwsp t0, 4(sp)
  expect t0, 0xffffffff89abcdef
  c.ldsp t0, 0(sp)
  expect t0, 0x89abcdef01234567
  c.sdsp t0, 32(sp)
  c.swsp t0, 40(sp)
  c.fldsp ft0, 32(sp)
  c.fsdsp ft0, 48(sp)
  ld t1, 48(sp)
  expect_same t1, t0
  lw t1, 40(sp)
  expect t1, 0x01234567
  case 4
  c.li a0, -32
  expect a0, -32
  c.lui a0, 0xfffe0
  expect a0, 0xfffffffffffe0000
  c.addi a0, 31
  expect a0, 0xfffffffffffe001f
  c.addiw a0, -1
  expect a0, 0xfffffffffffe001e
  li a0, 0x7fffffff
  c.addiw a0, 1
  expect a0, 0xffffffff80000000
  c.slli a0, 33
  expect a0, 0
  li a0, -16
  c.srai a0, 2
  expect a0, -4
  c.srli a0, 60
  expect a0, 15
  c.andi a0, -2
  expect a0, 14
  case 5
  li a0, 12
  li a1, 10
  c.sub a0, a1
  expect a0, 2
  c.xor a0, a1
  expect a0, 8
  c.or a0, a1
  expect a0, 10
  c.and a0, a1
  expect a0, 10
  c.mv a2, a0
  c.add a2, a0
  expect a2, 20
  li a0, 0x7fffffff
  li a1, 1
  c.addw a0, a1
  expect a0, 0xffffffff80000000
  c.subw a0, a1
  expect a0, 0x7fffffff
  case 6
  li a0, 0
  c.beqz a0, 1f
  j fail
1:
  c.bnez a0, 2f
  li a0, 1
  c.beqz a0, 2f
  c.bnez a0, 1f
2:
  j fail
1:
  c.j 1f
  j fail
1:
  la t0, 1f
  c.jr t0
  j fail
1:
  la t0, 1f
  c.jalr t0
2:
  j fail
1:
  la t0, 2b
  expect_same ra, t0
  case 7 // 32-bit instructions at odd half-words
  c.nop
  .option norvc
  addi a0, zero, 1
  .option rvc
  c.nop
  .option norvc
  addi a0, a0, 1
  expect a0, 2
  case 8 // over a page boundary
  j 1f
  .balign 4096
  .skip 4094
1:
  addi a0, a0, 40
  expect a0, 42
  case 9 // reserved encodings
  .option rvc
  .irp word, 0x2001, 0x4002, 0x6002, 0x8002, 0x6101, 0x0000
  la s0, 2f
  li s1, -1
  .2byte \word
2:
  la s0, unexpected
  expect s1, ILLEGAL
  .endr
  j pass

  .data
  .balign 8
words: .quad 0x89abcdef01234567
  .skip 56
