// Sv39, Sv48 and Sv57: rights, superpages, reserved encodings, addresses out of range, and what the trap value says
// (privileged spec §10.3 to §10.6). Case 1 to 31 with three levels, 32 more with each level added.
#include "arch.h"
#include "paging.h"

.macro level_case number
  addi gp, s10, \number
  li s11, 0
.endm

  .text
  .globl main
main:
  make_tables
  li s8, 3
  li s10, 0
  li s7, WINDOW
levels:
  translate_with s8
  level_case 1 // readable
  map_page PTE_V | PTE_R | PTE_A | PTE_D
  lend_works SUPERVISOR, "lwu t1, (s7)"
  expect t1, 0x5a5a5537
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  expect_same s2, s7
  lend_traps SUPERVISOR, STORE_PAGE, "amoadd.w t1, t1, (s7)"
  lend_works SUPERVISOR, "lr.w t1, (s7)"
  enter_at SUPERVISOR, s7
  expect s1, FETCH_PAGE
  expect_same s3, s7
  expect_same s2, s7
  level_case 2 // writable
  map_page PTE_V | PTE_R | PTE_W | PTE_A | PTE_D
  lend_works SUPERVISOR, "sw t1, 16(s7)"
  la t0, target
  lwu t2, 16(t0)
  slli t1, t1, 32
  srli t1, t1, 32
  expect_same t2, t1
  level_case 3 // writable without readable is reserved
  map_page PTE_V | PTE_W | PTE_A | PTE_D
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, 16(s7)"
  map_page PTE_V | PTE_W | PTE_X | PTE_A | PTE_D
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, 16(s7)"
  level_case 4 // executable; MXR makes it readable
  map_page PTE_V | PTE_X | PTE_A | PTE_D
  li a0, 0
  enter_at SUPERVISOR, s7
  expect s1, ECALL_S
  expect a0, 0x5a5a5000
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  li t0, MXR
  csrs mstatus, t0
  lend_works SUPERVISOR, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, 16(s7)"
  li t0, MXR
  csrc mstatus, t0
  level_case 5 // not valid
  map_page ALL & ~PTE_V
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  level_case 6 // a user's page: SUM opens it for data, never for code
  map_page ALL | PTE_U
  lend_works USER, "lw t1, (s7)"
  lend_works USER, "sw t1, 16(s7)"
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  li t0, SUM
  csrs mstatus, t0
  lend_works SUPERVISOR, "lw t1, (s7)"
  lend_works SUPERVISOR, "sw t1, 16(s7)"
  enter_at SUPERVISOR, s7
  expect s1, FETCH_PAGE
  li t0, SUM
  csrc mstatus, t0
  enter_at USER, s7
  expect s1, ECALL_U
  level_case 7 // a supervisor's page is not the user's
  map_page ALL
  lend_traps USER, LOAD_PAGE, "lw t1, (s7)"
  lend_traps USER, STORE_PAGE, "sw t1, 16(s7)"
  enter_at USER, s7
  expect s1, FETCH_PAGE
  level_case 8 // a superpage of 2 MiB, at its second page
  li t0, (0x80000000 >> 2) | ALL
  la t1, level1
  ld s9, (t1)
  sd t0, (t1)
  sfence.vma
  la t2, target
  li t3, 0x1fffff
  and t2, t2, t3
  add t2, t2, s7
  lend_works SUPERVISOR, "lwu t1, (t2)"
  expect t1, 0x5a5a5537
  level_case 9 // misaligned
  li t0, (0x80001000 >> 2) | ALL
  la t1, level1
  sd t0, (t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  la t1, level1
  sd s9, (t1)
  level_case 10 // 1 GiB
  li t0, (0x80000000 >> 2) | ALL
  la t1, level2
  ld s9, 8(t1)
  sd t0, 8(t1)
  sfence.vma
  la t2, target
  slli t2, t2, 34
  srli t2, t2, 34
  add t2, t2, s7
  lend_works SUPERVISOR, "lwu t1, (t2)"
  expect t1, 0x5a5a5537
  li t0, (0x80200000 >> 2) | ALL
  la t1, level2
  sd t0, 8(t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  la t1, level2
  sd s9, 8(t1)
  level_case 11 // a pointer with A, D or U is reserved
  .irp bit, PTE_A, PTE_D, PTE_U
  link_table level1, 0, level0, PTE_V | \bit
  map_page ALL
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  .endr
  link_table level1, 0, level0
  level_case 12 // the smallest pages have no table below them
  map_page PTE_V
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  level_case 13 // bits that nothing uses
  map_page ALL | (1 << 54)
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  map_page ALL | (1 << 60)
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (s7)"
  level_case 14 // software's own bits, and G
  map_page ALL | PTE_G | 0x300
  lend_works SUPERVISOR, "lw t1, (s7)"
  level_case 15 // addresses whose high bits do not repeat the highest translated one
  li t0, 1
  slli t1, s8, 3
  add t1, t1, s8
  addi t1, t1, 11 // the highest bit of the address
  sll t0, t0, t1
  or t0, t0, s7
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (t0)"
  expect_same s2, t0
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (t0)"
  enter_at SUPERVISOR, t0
  expect s1, FETCH_PAGE
  expect_same s2, t0
  li t0, (1 << 63) | WINDOW
  lend_traps SUPERVISOR, LOAD_PAGE, "lw t1, (t0)"
  expect_same s2, t0
  level_case 16 // a leaf to where nothing is
  li t0, (0x3f << 48) | ALL
  la t1, level0
  sd t0, (t1)
  sfence.vma
  lend_traps SUPERVISOR, LOAD_ACCESS, "lw t1, (s7)"
  expect_same s2, s7
  level_case 17 // over a page boundary: the value is the part that faults
  map_page ALL
  map_page ALL & ~PTE_V, 1, target2
  li t0, WINDOW + 0xffc
  li t3, WINDOW + 0x1000
  lend_traps SUPERVISOR, LOAD_PAGE, "ld t1, (t0)"
  expect_same s2, t3
  lend_traps SUPERVISOR, STORE_PAGE, "sd t1, (t0)"
  expect_same s2, t3
  map_page ALL, 1, target2
  li t1, 0x1122334455667788
  lend_works SUPERVISOR, "sd t1, (t0)"
  la t2, target2
  lwu t2, (t2)
  expect t2, 0x11223344
  level_case 18 // MPRV with machine mode's rights does not translate
  li t6, MPP | MPRV
  csrs mstatus, t6
  la t0, target
  lwu t1, (t0)
  li t6, MPRV
  csrc mstatus, t6
  expect t1, 0x5a5a5537
  level_case 19 // a new mapping is seen after a fence for its address, and for its address and space
  map_page ALL
  lend_works SUPERVISOR, "lwu t1, (s7)"
  la t5, target2
  srli t5, t5, 2
  ori t5, t5, ALL
  la t6, level0
  sd t5, (t6)
  sfence.vma s7
  lend_works SUPERVISOR, "lwu t1, (s7)"
  expect t1, 0x11223344
  la t5, target
  srli t5, t5, 2
  ori t5, t5, ALL
  la t6, level0
  sd t5, (t6)
  sfence.vma s7, zero
  lend_works SUPERVISOR, "lwu t1, (s7)"
  expect t1, 0x5a5a5537
  level_case 20 // delegated: stval
  li t0, 0xb000
  csrw medeleg, t0
  map_page PTE_V | PTE_R | PTE_A | PTE_D
  mode_must_trap SUPERVISOR, STORE_PAGE, "sw t1, 8(s7)"
  expect s5, 1
  li t0, WINDOW + 8
  expect_same s2, t0
  csrw medeleg, zero
  addi s8, s8, 1
  addi s10, s10, 32
  li t0, 6
  bgeu s8, t0, 1f
  j levels
1:
  li gp, 97 // a mode that does not exist changes nothing
  csrr t0, satp
  li t1, 1
  slli t1, t1, 60
  csrw satp, t1
  csrr t2, satp
  expect_same t2, t0
  csrw satp, zero
  j pass
