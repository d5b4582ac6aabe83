// Addresses where nothing is: cause, pc and value, and what is not written (privileged spec §3.1.15, §3.1.16).
#include "arch.h"
  .text
  .globl main
main:
  li t0, 0x0800000000000000 // beyond every physical address
  case 1
  li t1, 7
  must_trap LOAD_ACCESS, "ld t1, (t0)"
  expect_same s2, t0
  expect t1, 7
  case 2
  must_trap STORE_ACCESS, "sb t1, (t0)"
  expect_same s2, t0
  must_trap STORE_ACCESS, "amoadd.w t1, t1, (t0)"
  expect_same s2, t0
  expect t1, 7
  must_trap LOAD_ACCESS, "lr.d t1, (t0)"
  expect t1, 7
  case 3 // a jump there is made, and faults at its target
  li t1, 0
  expect_trap_of "jalr t1, (t0)"
  expect s1, FETCH_ACCESS
  expect_same s3, t0
  expect_same s2, t0
  addi t2, s6, 4
  expect_same t1, t2
  j pass
