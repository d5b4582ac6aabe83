// Four harts: each knows its number, they count together by amoadd and by lr and sc, and wake each other by software
// interrupts; hart 0 reports.
#include "arch.h"
#define HARTS 4
#define ROUNDS 500
  .text
  .globl main, other_hart
main:
  case 1
  la t0, go
  li t1, 1
  sw t1, (t0)
  call work
1:
  la t0, done
  lw t1, (t0)
  li t2, HARTS
  bne t1, t2, 1b
  fence
  ld t1, by_amo
  expect t1, HARTS * ROUNDS
  ld t1, by_reservation
  expect t1, HARTS * ROUNDS
  case 2 // a token goes round by software interrupts
  csrr t0, mhartid
  call pass_on
  call take
  lw t0, rounds
  expect t0, HARTS - 1
  j pass

other_hart:
  la t0, go
1:
  lw t1, (t0)
  beqz t1, 1b
  call work
  call take
  la t0, rounds
  lw t1, (t0)
  addi t1, t1, 1
  sw t1, (t0)
  call pass_on
1:
  wfi
  j 1b

work:
  li t0, ROUNDS
  la t1, by_amo
  la t2, by_reservation
  li t3, 1
1:
  amoadd.d zero, t3, (t1)
2:
  lr.d t4, (t2)
  addi t4, t4, 1
  sc.d t5, t4, (t2)
  bnez t5, 2b
  addi t0, t0, -1
  bnez t0, 1b
  la t1, done
  amoadd.w.rl zero, t3, (t1)
  ret

// Sends a software interrupt to the next hart.
pass_on:
  csrr t0, mhartid
  addi t0, t0, 1
  andi t0, t0, HARTS - 1
  slli t0, t0, 2
  li t1, CLINT
  add t0, t0, t1
  li t1, 1
  sw t1, (t0)
  ret

// Waits for one, and takes it back.
take:
  csrwi mie, 8
1:
  wfi
  csrr t0, mip
  andi t0, t0, 8
  beqz t0, 1b
  csrr t0, mhartid
  slli t0, t0, 2
  li t1, CLINT
  add t0, t0, t1
  sw zero, (t0)
  ret

  .data
  .balign 64
by_amo: .quad 0
by_reservation: .quad 0
go: .word 0
done: .word 0
rounds: .word 0
