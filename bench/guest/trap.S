# Traps from user mode to supervisor mode and back. A frame (user.h): pc, x1 to x31.
  .macro each_register operation, base
  .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  \operation x\n, (8 * \n)(\base)
  .endr
  .endm
  .macro each_kept operation
  \operation ra, 0(sp)
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  \operation s\n, (8 * \n + 8)(sp)
  .endr
  .endm

  .text
  .globl enter_user
enter_user:
  addi  sp, sp, -112
  each_kept sd
  la    t0, supervisor_stack
  sd    sp, 0(t0)
  li    t0, 1 << 8                   # sstatus.SPP: sret goes to user mode
  csrc  sstatus, t0

# To the frame in a0.
resume_user:
  csrw  sscratch, a0
  ld    t0, 0(a0)
  csrw  sepc, t0
  ld    sp, 16(a0)
  each_register ld, a0
  ld    a0, 80(a0)
  sret

  .globl supervisor_trap
  .balign 4
supervisor_trap:
  csrrw a0, sscratch, a0
  each_register sd, a0
  sd    sp, 16(a0)
  csrr  t0, sscratch
  sd    t0, 80(a0)
  csrr  t0, sepc
  addi  t0, t0, 4
  sd    t0, 0(a0)
  csrr  t0, scause
  addi  t0, t0, -8
  .option push
  .option norelax
  la    gp, __global_pointer$
  .option pop
  bnez  t0, 1f
  la    t0, supervisor_stack
  ld    sp, 0(t0)
  la    t0, user_call
  ld    t0, 0(t0)
  jalr  t0
  bnez  a0, resume_user
  each_kept ld
  addi  sp, sp, 112
  ret

# Nothing else may trap: the supervisor has no handler for its own.
1:la    sp, __stack_top
  csrr  a0, scause
  csrr  a1, sepc
  csrr  a2, stval
  call  report_trap

  .bss
  .balign 8
supervisor_stack:
  .zero 8
