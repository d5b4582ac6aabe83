// Counters: what they count, who may read them, how they stop (privileged spec §3.1.10 to §3.1.12, Zicntr, Zihpm).
#include "arch.h"
  .text
  .globl main
main:
  .option norvc
  case 1 // they move on
  csrr t0, mcycle
  csrr t1, mcycle
  bgtu t1, t0, 1f
  j fail
1:
  csrr t0, minstret
  csrr t1, minstret
  bgtu t1, t0, 1f
  j fail
1:
  case 2 // time follows the timer's device
  li t0, MTIME
  ld t1, (t0)
  csrr t2, time
  ld t3, (t0)
  bgeu t2, t1, 1f
  j fail
1:
  bgeu t3, t2, 1f
  j fail
1:
  case 3 // mcounteren opens them to supervisor mode, scounteren to user mode
  csrw mcounteren, zero
  csrw scounteren, zero
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, cycle"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, time"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, instret"
  mode_must_trap USER, ILLEGAL, "csrr t1, time"
  must_not_trap "csrr t1, cycle"
  csrwi mcounteren, 2
  mode_must_not_trap SUPERVISOR, "csrr t1, time"
  mode_must_trap SUPERVISOR, ILLEGAL, "csrr t1, cycle"
  mode_must_trap USER, ILLEGAL, "csrr t1, time"
  csrwi scounteren, 7
  mode_must_not_trap USER, "csrr t1, time"
  mode_must_trap USER, ILLEGAL, "csrr t1, cycle"
  csrwi mcounteren, 7
  mode_must_not_trap USER, "csrr t1, cycle"
  mode_must_not_trap USER, "csrr t1, instret"
  case 4 // the other counters read, at least as zero
  .irp n, 3, 4, 17
  csrr t0, mhpmcounter\n
  csrr t0, mhpmevent\n
  csrr t0, hpmcounter\n
  .endr
  mode_must_trap USER, ILLEGAL, "csrr t1, hpmcounter3"
  j pass
