// Timer and software interrupts of machine mode by their devices, the supervisor's by stimecmp, and wfi (privileged spec §3.2.1,
// §3.3.3; Sstc).
#include "arch.h"
  .text
  .globl main
main:
  case 1 // a compare value in the past is due, one in the future is not
  li t0, MTIMECMP
  li t1, -1
  sd t1, (t0)
  csrr t2, mip
  andi t2, t2, 0x80
  expect t2, 0
  sd zero, (t0)
  li t3, 1000000
1:
  csrr t2, mip
  andi t2, t2, 0x80
  bnez t2, 2f
  addi t3, t3, -1
  bnez t3, 1b
2:
  expect t2, 0x80
  case 2 // and it interrupts where enabled
  li t1, 0x80
  csrw mie, t1
  la s0, 1f
  li s1, -1
  csrsi mstatus, MIE
2:
  j 2b
1:
  la s0, unexpected
  expect s1, INTERRUPT | 7
  expect_address s3, 2b
  expect s2, 0
  li t0, MTIMECMP
  li t1, -1
  sd t1, (t0)
  case 3 // wfi waits for it, without taking it while MIE is clear
  csrci mstatus, MIE
  li t2, MTIME
  ld t1, (t2)
  li t3, 20000
  add t1, t1, t3
  sd t1, (t0)
1:
  wfi
  csrr t4, mip
  andi t4, t4, 0x80
  beqz t4, 1b
  ld t3, (t2)
  bgeu t3, t1, 1f
  j fail
1:
  li t1, -1
  sd t1, (t0)
  case 4 // a wfi that is interrupted returns behind itself
  li t3, 20000
  ld t1, (t2)
  add t1, t1, t3
  la s0, 1f
  li s1, -1
  csrsi mstatus, MIE
  sd t1, (t0)
2:
  wfi
3:
  j 2b
1:
  la s0, unexpected
  expect s1, INTERRUPT | 7
  la t6, 3b
  bleu s3, t6, 1f
  j fail
1:
  li t0, MTIMECMP
  li t1, -1
  sd t1, (t0)
  case 5 // software interrupts
  li t1, 8
  csrw mie, t1
  li t0, CLINT
  li t1, 1
  csrr t2, mip
  andi t2, t2, 8
  expect t2, 0
  la s0, 1f
  li s1, -1
  csrsi mstatus, MIE
  sw t1, (t0)
2:
  j 2b
1:
  la s0, unexpected
  expect s1, INTERRUPT | 3
  csrr t2, mip
  andi t2, t2, 8
  expect t2, 8
  li t0, CLINT
  sw zero, (t0)
  csrr t2, mip
  andi t2, t2, 8
  expect t2, 0
  case 6 // mip's machine bits are the devices' alone
  li t0, 0x88
  csrs mip, t0
  csrr t1, mip
  and t1, t1, t0
  expect t1, 0
  csrw mie, zero
  j pass
