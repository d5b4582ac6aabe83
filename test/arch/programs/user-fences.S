// The fences around sinval.vma are not for user mode (privileged spec §13).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  mode_must_trap USER, ILLEGAL, "sfence.w.inval"
  mode_must_trap USER, ILLEGAL, "sfence.inval.ir"
  mode_must_not_trap SUPERVISOR, "sfence.w.inval"
  j pass
