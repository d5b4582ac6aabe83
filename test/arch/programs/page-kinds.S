// Svnapot: sixteen pages of one entry; Svpbmt: memory types where menvcfg.PBMTE has them (privileged spec §11, §12). Svinval:
// invalidation between its fences (§13).
#include "arch.h"
#include "paging.h"
#define MENVCFG 0x30a
#define PBMTE (1 << 62)
#define PTE_N (1 << 63)

.macro map_raw register
  la t6, level0
  sd \register, (t6)
  sfence.vma
.endm

  .text
  .globl main
main:
  make_tables
  li s7, WINDOW
  li t0, 3
  translate_with t0
  case 1 // every page of the sixteen has the entry; the entry of each stands alone
  la t0, range
  srli t0, t0, 2
  li t1, PTE_N | ALL | (8 << 10)
  or t0, t0, t1
  la t1, level0
  li t2, 16
1:
  sd t0, (t1)
  addi t1, t1, 8
  addi t2, t2, -1
  bnez t2, 1b
  sfence.vma
  li t0, WINDOW + 0x5010
  li t1, 42
  lend_works SUPERVISOR, "sw t1, (t0)"
  la t2, range
  li t3, 0x5010
  add t2, t2, t3
  lw t2, (t2)
  expect t2, 42
  li t0, WINDOW + 0xf008
  lend_works SUPERVISOR, "sw t1, (t0)"
  la t2, range
  li t3, 0xf008
  add t2, t2, t3
  lw t2, (t2)
  expect t2, 42
  case 2 // other sizes are reserved
  .irp low, 0, 4, 2, 1, 12
  la t0, range
  srli t0, t0, 2
  li t1, PTE_N | ALL | (\low << 10)
  or t0, t0, t1
  map_raw t0
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  .endr
  case 3 // and so is N in a superpage or a pointer
  li t0, PTE_N | (0x80000000 >> 2) | ALL | (8 << 10)
  la t1, level1
  ld s9, (t1)
  sd t0, (t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  li t1, PTE_N
  or t0, s9, t1
  la t1, level1
  sd t0, (t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  la t1, level1
  sd s9, (t1)
  case 4 // memory types
  li t0, PBMTE
  csrs MENVCFG, t0
  csrr t1, MENVCFG
  and t1, t1, t0
  beqz t1, no_types
  sfence.vma
  map_page ALL | (1 << 61)
  lend_works SUPERVISOR, "lwu t1, (s7)"
  expect t1, 0x5a5a5537
  map_page ALL | (2 << 61)
  lend_works SUPERVISOR, "lwu t1, (s7)"
  la t1, level1
  li t0, 1 << 61
  or t0, t0, s9
  sd t0, (t1)
  map_page ALL
  lend_traps SUPERVISOR, LOAD_PAGE, "lwu t1, (s7)"
  la t1, level1
  sd s9, (t1)
  case 5
  li t0, PBMTE
  csrc MENVCFG, t0
  sfence.vma
  map_page ALL | (1 << 61)
  lend_traps SUPERVISOR, LOAD_PAGE, "lwu t1, (s7)"
no_types:
  case 6 // Svinval
  map_page ALL
  lend_works SUPERVISOR, "lwu t1, (s7)"
  la t5, target2
  srli t5, t5, 2
  ori t5, t5, ALL
  la t6, level0
  sd t5, (t6)
  sfence.w.inval
  sinval.vma s7, zero
  sfence.inval.ir
  lend_works SUPERVISOR, "lwu t1, (s7)"
  expect t1, 0
  csrw satp, zero
  mode_must_trap USER, ILLEGAL, "sinval.vma zero, zero"
  li t0, TVM
  csrs mstatus, t0
  mode_must_trap SUPERVISOR, ILLEGAL, "sinval.vma zero, zero"
  mode_must_not_trap SUPERVISOR, "sfence.inval.ir"
  li t0, TVM
  csrc mstatus, t0
  j pass

  .bss
  .balign 0x10000
range: .skip 0x10000
