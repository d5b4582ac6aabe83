// Accessed and dirty bits: set by the hart where menvcfg.ADUE says so, page faults where it does not (Svadu, Svade;
// privileged spec §10.3.1).
#include "arch.h"
#include "paging.h"
#define MENVCFG 0x30a
#define ADUE (1 << 61)

.macro leaf_bits
  la t6, level0
  ld t2, (t6)
  andi t2, t2, PTE_A | PTE_D
.endm

  .text
  .globl main
main:
  make_tables
  li s7, WINDOW
  li t0, 3
  translate_with t0
  case 1
  li t0, ADUE
  csrs MENVCFG, t0
  map_page ALL & ~(PTE_A | PTE_D)
  lend_works SUPERVISOR, "lw t1, (s7)"
  leaf_bits
  expect t2, PTE_A
  lend_works SUPERVISOR, "sw t1, 16(s7)"
  leaf_bits
  expect t2, PTE_A | PTE_D
  case 2
  map_page ALL & ~(PTE_A | PTE_D)
  enter_at SUPERVISOR, s7
  expect s1, ECALL_S
  leaf_bits
  expect t2, PTE_A
  case 3 // what is not permitted sets nothing
  map_page PTE_V | PTE_R
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  leaf_bits
  expect t2, 0
  case 4 // an atomic operation is a store
  map_page ALL & ~(PTE_A | PTE_D)
  lend_works SUPERVISOR, "amoadd.w t1, zero, (s7)"
  leaf_bits
  expect t2, PTE_A | PTE_D
  case 5
  li t0, ADUE
  csrc MENVCFG, t0
  csrr t1, MENVCFG
  and t1, t1, t0
  expect t1, 0
  sfence.vma
  map_page ALL & ~(PTE_A | PTE_D)
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  enter_at SUPERVISOR, s7
  expect s1, FETCH_PAGE
  leaf_bits
  expect t2, 0
  map_page ALL & ~PTE_D
  lend_works SUPERVISOR, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  leaf_bits
  expect t2, PTE_A
  map_page ALL & ~PTE_A
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  j pass
