// minstret to the instruction: the value written is the one that the next instruction reads, what traps does not retire
// (unprivileged spec §6.1, privileged spec §3.3.1), and mcountinhibit stops it (privileged spec §3.1.12).
#include "arch.h"
  .text
  .globl main
main:
  .option norvc
  case 1
  csrwi minstret, 0
  csrr t0, minstret
  csrr t1, minstret
  nop
  nop
  csrr t2, minstret
  expect t0, 0
  expect t1, 1
  expect t2, 4
  case 2
  li t3, -1
  csrw minstret, t3
  csrr t0, minstret
  csrr t1, minstret
  expect t0, -1
  expect t1, 0
  case 3 // a branch taken, a load and a store each count one
  la t4, word
  csrr t0, minstret
  j 1f
  nop
1:
  ld t2, (t4)
  sd t2, (t4)
  csrr t1, minstret
  sub t1, t1, t0
  expect t1, 4
  case 4 // ecall does not retire: two instructions of the handler's way are counted here
  la t2, 1f
  csrw mtvec, t2
  csrr t0, minstret
  ecall
  .balign 4
1:
  csrr t1, minstret
  la t2, trap_entry
  csrw mtvec, t2
  sub t1, t1, t0
  expect t1, 1
  case 5 // nor does a load that faults
  la t2, 1f
  csrw mtvec, t2
  csrr t0, minstret
  ld t2, (zero)
  .balign 4
1:
  csrr t1, minstret
  la t2, trap_entry
  csrw mtvec, t2
  sub t1, t1, t0
  expect t1, 1
  case 6
  csrwi mcountinhibit, 5
  csrr t0, minstret
  csrr t1, mcycle
  nop
  csrr t2, minstret
  csrr t3, mcycle
  expect_same t0, t2
  expect_same t1, t3
  csrwi mcountinhibit, 0
  csrr t2, minstret
  bgeu t2, t0, 1f
  j fail
1:
  j pass

  .data
  .balign 8
word: .quad 0
