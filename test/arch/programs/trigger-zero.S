// Writing zero to tdata1 disarms a trigger (debug spec 1.0 §5.7.2).
#include "arch.h"
  .text
  .globl main
main:
  case 1
  csrw tselect, zero
  la t2, word
  csrw tdata2, t2
  li t0, (2 << 60) | 0x41
  csrw tdata1, t0
  must_trap BREAKPOINT, "lw t1, (t2)"
  csrw tdata1, zero
  must_not_trap "lw t1, (t2)"
  j pass

  .data
  .balign 8
word: .quad 0
