// Triggers of type 2 (mcontrol) for instructions, loads and stores: by mode, by match, with their trap (debug spec 1.0 §5.7.11).
#include "arch.h"
#define TYPE2 (2 << 60)
#define M_MODE 0x40
#define S_MODE 0x10
#define U_MODE 0x08
#define ON_EXECUTE 4
#define ON_STORE 2
#define ON_LOAD 1

.macro arm config, address
  li t5, TYPE2 | (\config)
  la t6, \address
  csrw tdata2, t6
  csrw tdata1, t5
.endm

.macro disarm
  li t5, TYPE2
  csrw tdata1, t5
.endm

  .text
  .globl main
main:
  case 1 // there are triggers, and tselect takes no number beyond them
  csrw tselect, zero
  csrr t0, tselect
  expect t0, 0
  li t1, -1
  csrw tselect, t1
  csrr t0, tselect
  bne t0, t1, 1f
  j fail
1:
  csrw tselect, zero
  case 2 // instructions: before they execute
  li t0, 5
  arm M_MODE | ON_EXECUTE, 2f
  la s0, 1f
  li s1, -1
2:
  li t0, 6
1:
  la s0, unexpected
  disarm
  expect s1, BREAKPOINT
  expect_address s3, 2b
  expect t0, 5
  case 3 // a load, before it is made
  la t2, word
  li t1, 9
  arm M_MODE | ON_LOAD, word
  must_trap BREAKPOINT, "lw t1, (t2)"
  expect t1, 9
  must_not_trap "sw t1, (t2)"
  must_not_trap "lw t1, 8(t2)"
  disarm
  must_not_trap "lw t1, (t2)"
  case 4 // a store
  li t1, 11
  arm M_MODE | ON_STORE, word
  must_trap BREAKPOINT, "sw t1, (t2)"
  lw t3, (t2)
  expect t3, 9
  must_trap BREAKPOINT, "amoadd.w t3, t1, (t2)"
  disarm
  case 5 // only in the modes that it names
  arm U_MODE | ON_LOAD, word
  must_not_trap "lw t1, (t2)"
  mode_must_not_trap SUPERVISOR, "lw t1, (t2)"
  mode_must_trap USER, BREAKPOINT, "lw t1, (t2)"
  arm S_MODE | ON_LOAD, word
  mode_must_not_trap USER, "lw t1, (t2)"
  mode_must_trap SUPERVISOR, BREAKPOINT, "lw t1, (t2)"
  disarm
  case 6 // a second one beside it
  arm M_MODE | ON_LOAD, word
  csrwi tselect, 1
  arm M_MODE | ON_STORE, other
  la t3, other
  must_trap BREAKPOINT, "lw t1, (t2)"
  must_trap BREAKPOINT, "sw t1, (t3)"
  must_not_trap "lw t1, (t3)"
  disarm
  csrw tselect, zero
  must_trap BREAKPOINT, "lw t1, (t2)"
  disarm
  case 7 // machine mode's alone
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, tselect"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrw tdata1, t1"
  j pass

  .data
  .balign 8
word: .quad 0
other: .quad 0
