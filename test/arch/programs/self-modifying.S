// Code that is written, and executed after fence.i (Zifencei): over itself, over another routine, often in a loop.
#include "arch.h"
  .text
  .globl main
main:
  .option norvc
  case 1
  la t0, patched
  lw t1, replacement
  li a0, 0
  sw t1, (t0)
  fence.i
patched:
  addi a0, a0, 1
  expect a0, 64
  case 2 // a routine whose immediate is counted up
  li s7, 100
  li s8, 0
  la s9, routine
1:
  slli t0, s7, 20
  li t1, 0x00000513 // li a0, 0
  or t0, t0, t1
  sw t0, (s9)
  fence.i
  jalr s9
  expect_same a0, s7
  addi s7, s7, -1
  bnez s7, 1b
  case 3 // half of an instruction
  lw t0, replacement
  sw t0, (s9)
  fence.i
  li t1, 0x0405 // its upper half: an immediate of 64 becomes another
  srli t2, t0, 16
  addi t2, t2, 0x20
  sh t2, 2(s9)
  fence.i
  li a0, 0
  jalr s9
  expect a0, 66
  case 4 // and over a page boundary
  la s9, crossing
  li a0, 0
  jalr s9
  expect a0, 1
  lhu t0, replacement + 2
  sh t0, 2(s9)
  fence.i
  li a0, 0
  jalr s9
  expect a0, 64
  j pass
replacement:
  addi a0, a0, 64

  .data
  .balign 4096
routine:
  nop
  ret
  .balign 4096
  .skip 4094
crossing:
  addi a0, a0, 1
  ret
