// Where everything of a lock-step run lies in guest-physical memory. The board is `virt` with 32 MiB.

export const RAM_BASE = 0x8000_0000;
export const RAM_BYTES: number = 32 << 20;

/** The keeper: firmware, put back by every reset. It and the run are within reach of one jump. */
export const KEEPER: number = RAM_BASE;
export const KEEPER_BYTES = 0x1_0000;

/** What belongs to one program; cleared before each. */
export const RUN: number = RAM_BASE + 0x1_0000;
export const RUN_BYTES = 0x7_0000;
/** The keeper's variables and the registers that it keeps for a program: one page. */
export const STATE: number = RUN;
/** What traps were taken, for reports: four words each. */
export const TRAP_LOG: number = RUN + 0x1000;
export const TRAP_LOG_BYTES = 0x6000;
/** A copy of the page of state at the end of one chosen block. */
export const DUMP: number = RUN + 0x7000;
/** What is behind that copy: the registers that only the end of a program looks at. */
export const FINAL_CSRS: number = DUMP + 0x800;
/** The supervisor's trap vector. */
export const SUPERVISOR_TRAPS: number = RUN + 0x8000;
/** Random code: mapped for lower modes. */
export const CODE: number = RUN + 0x1_0000;
export const CODE_BYTES = 0x1_0000;
/** What machine mode does before each block. */
export const ENTRIES: number = RUN + 0x2_0000;
export const ENTRIES_BYTES = 0x1_0000;
/** What loads and stores mean: 64 KiB, aligned so. */
export const DATA: number = RUN + 0x3_0000;
export const DATA_BYTES = 0x1_0000;
/** What of the data is not zero at first. */
export const FILLED_BYTES = 0x4000;
/** A page behind, which accesses at the end of data may reach. */
export const TABLES: number = RUN + 0x4_1000;
export const TABLES_BYTES = 0x2_f000;

/** Programs that wait for their turn, behind a header page. */
export const BATCH: number = RAM_BASE + 0x10_0000;
export const BATCH_BYTES = 0xf0_0000;
/** What programs leave behind: a slot each. */
export const RESULTS: number = RAM_BASE + 0x100_0000;
export const RESULT_BYTES = 0x1000;
/** The board's device tree is in the last MiBs. */
export const RESULTS_BYTES = 0xc0_0000;

export const CLINT = 0x200_0000;
export const MTIMECMP: number = CLINT + 0x4000;
export const MTIME: number = CLINT + 0xbff8;
export const TEST_FINISHER = 0x10_0000;
export const FINISH_PASS = 0x5555;
export const FINISH_RESET = 0x7777;
