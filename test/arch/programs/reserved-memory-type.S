// Memory type 3 of Svpbmt is reserved and faults (privileged spec §12).
#include "arch.h"
#include "paging.h"
#define MENVCFG 0x30a
#define PBMTE (1 << 62)
  .text
  .globl main
main:
  make_tables
  li s7, WINDOW
  li t0, 3
  translate_with t0
  case 1
  li t0, PBMTE
  csrs MENVCFG, t0
  sfence.vma
  map_page ALL | (3 << 61)
  lend_traps SUPERVISOR, LOAD_PAGE, "lwu t1, (s7)"
  lend_traps SUPERVISOR, STORE_PAGE, "sw t1, (s7)"
  j pass
