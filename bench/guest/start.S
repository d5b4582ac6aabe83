# Machine mode to supervisor mode: PMP open, counters readable, Sv39 on, floating point on. Registers and fields:
# The RISC-V Instruction Set Manual, Volume II (Privileged Architecture).
  .section .text.start, "ax"
  .globl _start
_start:
  .option push
  .option norelax
  la    gp, __global_pointer$
  .option pop
  la    sp, __stack_top
  la    t0, machine_trap
  csrw  mtvec, t0

  la    t0, __bss_start
  la    t1, __stack_bottom
1:sd    zero, 0(t0)
  addi  t0, t0, 8
  bltu  t0, t1, 1b

  # One entry that covers everything: top of range, read, write, execute.
  li    t0, -1
  srli  t0, t0, 10
  csrw  pmpaddr0, t0
  li    t0, 0x0f
  csrw  pmpcfg0, t0
  # cycle, time and instret from supervisor mode
  li    t0, 7
  csrw  mcounteren, t0

  # An ecall of user mode is the supervisor's.
  li    t0, 1 << 8
  csrw  medeleg, t0
  la    t0, supervisor_trap
  csrw  stvec, t0

  call  build_page_tables
  csrw  satp, a0
  sfence.vma

  # mstatus: MPP = S, FS = initial; MPIE off
  li    t0, (3 << 11) | (3 << 13) | (1 << 7)
  csrc  mstatus, t0
  li    t0, (1 << 11) | (1 << 13)
  csrs  mstatus, t0
  la    t0, supervisor_main
  csrw  mepc, t0
  mret

  # Nothing here may trap: say what did, and fail.
  .balign 4
machine_trap:
  la    sp, __stack_top
  csrr  a0, mcause
  csrr  a1, mepc
  csrr  a2, mtval
  call  report_trap
