// PMP: its ways to say a range, its order, locks, machine mode, MPRV, and the accesses of a page walk (privileged spec §3.7).
#include "arch.h"
#include "paging.h"
#define R 1
#define W 2
#define X 4
#define TOR 0x08
#define NA4 0x10
#define NAPOT 0x18
#define L 0x80

// Entry 1 is under test (entry 0 its lower bound), entry 2 opens the rest.
.macro protect config, low, high
  li t6, (\config) << 8 | (NAPOT | R | W | X) << 16
  li t5, \low
  csrw pmpaddr0, t5
  li t5, \high
  csrw pmpaddr1, t5
  csrw pmpcfg0, t6
  sfence.vma
.endm

  .text
  .globl main
main:
  li t0, -1
  csrw pmpaddr2, t0
  li s7, 0x80700000
  case 1 // the granularity is four bytes
  csrw pmpcfg0, zero
  csrw pmpaddr0, t0
  csrr t1, pmpaddr0
  andi t1, t1, 1
  expect t1, 1
  case 2 // NA4
  protect NA4 | R, 0, 0x80700004 >> 2
  lend_works SUPERVISOR, "lw t1, 4(s7)"
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, 4(s7)"
  addi t0, s7, 4
  expect_same s2, t0
  lend_traps SUPERVISOR, STORE_ACCESS, "sb t1, 7(s7)"
  lend_works SUPERVISOR, "sw t1, (s7)"
  lend_works SUPERVISOR, "sw t1, 8(s7)"
  case 3 // an access that an entry matches in part fails
  lend_traps SUPERVISOR, LOAD_ACCESS, "ld t1, (s7)"
  protect NA4 | R | W, 0, 0x80700004 >> 2
  lend_traps SUPERVISOR, STORE_ACCESS, "sd t1, (s7)"
  case 4 // NAPOT of 8 bytes and of a page
  protect NAPOT | R, 0, 0x80700008 >> 2
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, 8(s7)"
  lend_traps SUPERVISOR, STORE_ACCESS, "sd t1, 8(s7)"
  lend_works SUPERVISOR, "ld t1, 8(s7)"
  lend_works SUPERVISOR, "sd t1, 16(s7)"
  lend_works SUPERVISOR, "sd t1, (s7)"
  protect NAPOT | R, 0, (0x80700000 >> 2) | 0x1ff
  li t0, 0x80700ff8
  lend_traps SUPERVISOR, STORE_ACCESS, "sd t1, (t0)"
  lend_works SUPERVISOR, "sd t1, 8(t0)"
  case 5 // TOR: at or above the lower, below the upper
  protect TOR | R, 0x80700008 >> 2, 0x80700018 >> 2
  lend_works SUPERVISOR, "sd t1, (s7)"
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, 8(s7)"
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, 20(s7)"
  lend_works SUPERVISOR, "sw t1, 24(s7)"
  protect TOR | R, 0x80700018 >> 2, 0x80700008 >> 2 // an empty range
  lend_works SUPERVISOR, "sw t1, 16(s7)"
  case 6 // without rights; user mode alike; execution
  protect NAPOT, 0, (0x80700000 >> 2) | 0x1ff
  lend_traps SUPERVISOR, LOAD_ACCESS, "lw t1, (s7)"
  lend_traps USER, LOAD_ACCESS, "lw t1, (s7)"
  li t0, 0x00000073
  sw t0, (s7)
  fence.i
  enter_at SUPERVISOR, s7
  expect s1, FETCH_ACCESS
  expect_same s3, s7
  protect NAPOT | R | W, 0, (0x80700000 >> 2) | 0x1ff
  enter_at USER, s7
  expect s1, FETCH_ACCESS
  protect NAPOT | X, 0, (0x80700000 >> 2) | 0x1ff
  enter_at USER, s7
  expect s1, ECALL_U
  lend_traps USER, LOAD_ACCESS, "lw t1, (s7)"
  case 7 // machine mode is free of it while it is not locked
  protect NAPOT, 0, (0x80700000 >> 2) | 0x1ff
  must_not_trap "sw t1, (s7)"
  case 8 // the lowest entry that matches decides
  li t0, ((0x80700000 >> 2) | 0x1ff)
  csrw pmpaddr0, t0
  li t0, NAPOT | R | W | NAPOT << 8 | (NAPOT | R | W | X) << 16
  csrw pmpcfg0, t0
  sfence.vma
  lend_works SUPERVISOR, "sw t1, (s7)"
  case 9 // where no entry matches, modes below machine mode have nothing
  li t0, NAPOT << 8
  csrw pmpcfg0, t0
  sfence.vma
  li t0, 0x80600000
  lend_traps SUPERVISOR, LOAD_ACCESS, "lw t1, (t0)"
  must_not_trap "lw t1, (t0)"
  case 10 // a walk's reads are checked as supervisor mode's
  make_tables
  map_page ALL
  li t0, 3
  translate_with t0
  li s7, WINDOW
  protect NAPOT, 0, 0 // set below to the table's page
  la t0, level0
  srli t0, t0, 2
  ori t0, t0, 0x1ff
  csrw pmpaddr1, t0
  sfence.vma
  lend_traps SUPERVISOR, LOAD_ACCESS, "lw t1, (s7)"
  expect_same s2, s7
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, (s7)"
  lend_traps USER, LOAD_ACCESS, "lw t1, (s7)"
  enter_at SUPERVISOR, s7
  expect s1, FETCH_ACCESS
  li t0, (NAPOT | R) << 8 | (NAPOT | R | W | X) << 16
  csrw pmpcfg0, t0
  sfence.vma
  lend_works SUPERVISOR, "lw t1, (s7)"
  csrw satp, zero
  li s7, 0x80700000
  case 11 // a locked entry holds for machine mode, and cannot be changed
  protect NAPOT | R | L, 0, (0x80700000 >> 2) | 0x1ff
  must_trap STORE_ACCESS, "sw t1, (s7)"
  expect_same s2, s7
  must_not_trap "lw t1, (s7)"
  csrw pmpcfg0, zero
  csrr t1, pmpcfg0
  srli t1, t1, 8
  expect t1, NAPOT | R | L
  csrw pmpaddr1, zero
  csrr t1, pmpaddr1
  expect t1, (0x80700000 >> 2) | 0x1ff
  csrw pmpaddr0, zero
  csrr t1, pmpaddr0
  expect t1, 0
  case 12 // a locked TOR entry locks the address below it
  li t0, 0x80600000 >> 2
  csrw pmpaddr3, t0
  li t0, 0x80601000 >> 2
  csrw pmpaddr4, t0
  li t0, (TOR | R | L) << 32
  csrs pmpcfg0, t0
  csrw pmpaddr3, zero
  csrr t1, pmpaddr3
  expect t1, 0x80600000 >> 2
  csrw pmpaddr4, zero
  csrr t1, pmpaddr4
  expect t1, 0x80601000 >> 2
  li t0, 0x80600800
  must_trap STORE_ACCESS, "sd t1, (t0)"
  must_not_trap "ld t1, (t0)"
  j pass
