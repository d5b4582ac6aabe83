// A pointer to where nothing is: the walk's read faults as the access that it was made for (privileged spec §10.3.2, step 2).
#include "arch.h"
#include "paging.h"
  .text
  .globl main
main:
  make_tables
  li s7, WINDOW
  li t0, 3
  translate_with t0
  case 1
  li t0, (0x3f << 48) | PTE_V
  la t1, level1
  sd t0, (t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_ACCESS, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_ACCESS, "sw t1, (s7)"
  enter_at SUPERVISOR, s7
  expect s1, FETCH_ACCESS
  j pass
