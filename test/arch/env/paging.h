// For programs of machine.S that set up translation: tables for any of Sv39, Sv48 and Sv57, with one small page at WINDOW, whose
// leaf entry the program writes. RAM's gigapage has its own address for supervisor mode.

#define WINDOW 0x40000000
#define ALL (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

  .pushsection .data
  .balign 4096
level4: .skip 4096
level3: .skip 4096
level2: .skip 4096
level1: .skip 4096
level0: .skip 4096
target: // lui a0, 0x5a5a5; ecall
  .4byte 0x5a5a5537, 0x00000073
  .balign 4096
target2: .skip 4096
  .popsection

.macro link_table table, index, next, flags=PTE_V
  la t5, \next
  srli t5, t5, 2
  ori t5, t5, \flags
  la t6, \table
  sd t5, 8 * \index(t6)
.endm

// Writes level0's entry of page 0 (WINDOW) or another, and makes it visible.
.macro map_page flags, index=0, page=target
  la t5, \page
  srli t5, t5, 2
  li t6, \flags
  or t5, t5, t6
  la t6, level0
  sd t5, 8 * \index(t6)
  sfence.vma
.endm

.macro make_tables
  link_table level4, 0, level3
  link_table level3, 0, level2
  link_table level2, 1, level1
  link_table level1, 0, level0
  li t5, (0x80000000 >> 2) | ALL
  la t6, level2
  sd t5, 16(t6)
.endm

// satp for as many levels as `register` says; its root is level2, level3 or level4.
.macro translate_with register
  addi t5, \register, 5
  slli t5, t5, 60
  la t6, level2
  srli t6, t6, 12
  or t5, t5, t6
  addi t6, \register, -3
  sub t5, t5, t6
  csrw satp, t5
  sfence.vma
.endm

// One access with the rights of a mode (MPRV); its cause, or -1, is in s1.
.macro lend mode, code
  li t6, MPP
  csrc mstatus, t6
  li t6, MPRV | (\mode << 11)
  csrs mstatus, t6
  expect_trap_of "\code"
  li t6, MPRV
  csrc mstatus, t6
.endm

.macro lend_traps mode, cause, code
  lend \mode, "\code"
  expect s1, \cause
  expect_same s3, s6
.endm

.macro lend_works mode, code
  lend \mode, "\code"
  expect s1, -1
.endm

// Goes on at an address in a mode, until it traps.
.macro enter_at mode, register
  la s0, .Lafter\@
  li s1, -1
  li s5, 0
  li t6, MPP
  csrc mstatus, t6
  li t6, \mode << 11
  csrs mstatus, t6
  csrw mepc, \register
  mret
.Lafter\@:
  la s0, unexpected
.endm
