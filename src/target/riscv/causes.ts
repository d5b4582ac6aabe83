// Exception and interrupt causes (privileged spec §3.1.15, table 14).

export const Cause = {
  fetchMisaligned: 0,
  fetchAccessFault: 1,
  illegalInstruction: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccessFault: 5,
  storeMisaligned: 6,
  storeAccessFault: 7,
  ecallU: 8,
  ecallS: 9,
  ecallM: 11,
  fetchPageFault: 12,
  loadPageFault: 13,
  storePageFault: 15,
} as const;

/** Set in mcause and scause for interrupts. */
export const interruptFlag: bigint = 1n << 63n;
