// The keeper's page of variables: byte offsets, all within reach of a load's immediate, and the table of blocks behind.

/** x0 to x31; the place of x0 is free. */
export const X = 0;
/** f0 to f31. */
export const Floats = 256;
/** CSRs as the end of a block finds them. */
export const CSRS = 512;
export const MAX_CSRS = 96;
const variables = [
  "trapHash",
  "trapCount",
  // From here on not part of the digest. Of the present block, as its descriptor has them:
  "endOffset",
  "userCode",
  "supervisorCode",
  "virtualCode",
  "machineCode",
  "phase",
  "supervisorTraps",
  "mepc",
  "mstatus",
  // Of the program:
  "block",
  "dumpAfter",
  "digestAt",
  "resultAt",
  "logAt",
  "deadline",
  "tablesEnd",
  "retiredBefore",
  "instructions",
] as const;
export type Variable = (typeof variables)[number];

const FIRST = CSRS + MAX_CSRS * 8;
/** Byte offset of each variable. */
export const at: Readonly<Record<Variable, number>> = Object.fromEntries(
  variables.map((name, i) => [name, FIRST + i * 8]),
) as Record<Variable, number>;

/** What a block's descriptor begins with. */
export const blockVariables: readonly Variable[] = variables.slice(2, 11);

/** Addresses of what comes before each block; 0 ends the program. */
export const ENTRY_TABLE = 2048;
export const MAX_BLOCKS = 250;

/** What a program leaves in its slot: these words, then a digest for each block and one for memory. */
export const Result = {
  status: 0,
  cause: 8,
  pc: 16,
  value: 24,
  instructions: 32,
  blocks: 40,
  retired: 48,
  digests: 64,
} as const;
export const Status = { none: 0, done: 1, fatal: 2, watchdog: 3 } as const;
