// How a machine without firmware hands over: at the start of RAM in machine mode, a0 the hart and a1 the device tree; .bss is
// zero, .data is loaded, and registers that the specification resets have their values (privileged spec §3.4).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  expect s8, 0
  lwu t0, (s9)
  expect t0, 0xedfe0dd0 // the tree's magic, big-endian
  case 2
  ld t0, loaded
  expect t0, 0x1122334455667788
  la t0, zeros
  li t1, 4096
1:
  ld t2, (t0)
  expect t2, 0
  addi t0, t0, 8
  addi t1, t1, -8
  bnez t1, 1b
  case 3 // 64 bits, and at least IMAFDC with supervisor and user mode
  csrr t0, misa
  srli t1, t0, 62
  expect t1, 2
  li t1, 0x14112d
  and t2, t0, t1
  expect t2, 0x14112d
  csrw misa, t0
  csrr t1, misa
  expect_same t0, t1
  case 4
  csrr t0, mhartid
  expect t0, 0
  csrr t0, mvendorid
  csrr t0, marchid
  csrr t0, mimpid
  csrr t0, mconfigptr
  case 5
  csrr t0, mstatus
  li t1, MIE | MPRV
  and t0, t0, t1
  expect t0, 0
  csrr t0, satp
  expect t0, 0
  j pass

  .data
  .balign 8
loaded: .quad 0x1122334455667788
  .bss
  .balign 8
zeros: .space 4096
