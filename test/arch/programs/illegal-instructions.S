// What is illegal: words that encode nothing, and their trap value (privileged spec §3.1.16, unprivileged spec §1.5).
#include "arch.h"
  .macro illegal word
  must_trap ILLEGAL, ".4byte \word"
  beqz s2, .Lzero\@ // either is allowed: zero, or the instruction
  expect s2, \word
.Lzero\@:
  .endm

  .text
  .globl main
main:
  case 1
  la s0, 1f
  li s1, -1
2:
  .2byte 0
1:
  la s0, unexpected
  expect s1, ILLEGAL
  expect_address s3, 2b
  expect s2, 0
  case 2
  illegal 0xffffffff
  case 3 // reserved: an unused load width, store width, OP-32 and branch function
  illegal 0x00007003
  illegal 0x00004023
  illegal 0x0000203b
  illegal 0x00002063
  case 4 // shift amounts of word shifts have five bits
  illegal 0x0200101b
  illegal 0x4200501b
  case 5 // system instructions with operands that they do not have
  illegal 0x000000f3
  illegal 0x30200173
  case 6 // a static rounding mode that is reserved, and a dynamic one
  illegal 0x00005053
  illegal 0x00006053
  fsrmi t0, 5
  must_trap ILLEGAL, "fadd.s f0, f0, f0"
  fsrmi 0
  must_not_trap "fadd.s f0, f0, f0"
  case 7 // floating point with FS off, loads and CSRs too
  li t0, FS
  csrc mstatus, t0
  must_trap ILLEGAL, "fadd.d f0, f0, f0"
  la t0, word
  must_trap ILLEGAL, "flw f0, (t0)"
  must_trap ILLEGAL, "fsd f0, (t0)"
  must_trap ILLEGAL, "frflags t1"
  must_trap ILLEGAL, "fsrmi 0"
  mode_must_trap USER, ILLEGAL, "fmv.x.d t1, f0"
  li t0, FS
  csrs mstatus, t0
  must_not_trap "fadd.d f0, f0, f0"
  case 8 // an illegal instruction can be supervisor mode's
  li t0, 1 << ILLEGAL
  csrw medeleg, t0
  mode_must_trap USER, ILLEGAL, "csrr t1, mstatus"
  expect s5, 1
  csrw medeleg, zero
  j pass

  .data
  .balign 8
word: .quad 0
