// table: trap set-up and trap handling of both modes (privileged spec §3.1.7, §3.1.8, §3.1.13 to §3.1.17, §10.1.2 to §10.1.9).
import { F, type Field64 } from "../hart-core.ts";
import { byHalves, plain, type Csr, type CsrContext } from "./definition.ts";

const delegableExceptions = 0xb3ffn;

/** Trap vectors: mode 0 (direct) or 1 (vectored); other modes are reserved and leave the register as it was. */
function trapVector(number: number, name: string, field: Field64): Csr {
  const low = 2 * field;
  return byHalves(number, name, {
    low: (h) => h.core.word(low),
    high: (h) => h.core.word(low + 1),
    write: ({ core }, lowBits, highBits) => {
      if ((lowBits & 3) >= 2) return;
      core.setWord(low, lowBits);
      core.setWord(low + 1, highBits);
    },
  });
}

function exceptionPc(number: number, name: string, field: Field64): Csr {
  const low = 2 * field;
  const aligned = (h: CsrContext): number => (h.has("c") ? ~1 : ~3);
  return byHalves(number, name, {
    low: (h) => h.core.word(low) & aligned(h),
    high: (h) => h.core.word(low + 1),
    write: ({ core }, lowBits, highBits) => {
      core.setWord(low, lowBits & ~1);
      core.setWord(low + 1, highBits);
    },
  });
}

export const trapCsrs: readonly Csr[] = [
  trapVector(0x105, "stvec", F.stvec),
  plain(0x140, "sscratch", F.sscratch),
  exceptionPc(0x141, "sepc", F.sepc),
  plain(0x142, "scause", F.scause),
  plain(0x143, "stval", F.stval),
  { ...plain(0x302, "medeleg", F.medeleg, delegableExceptions), available: (h) => h.has("s") },
  trapVector(0x305, "mtvec", F.mtvec),
  plain(0x340, "mscratch", F.mscratch),
  exceptionPc(0x341, "mepc", F.mepc),
  plain(0x342, "mcause", F.mcause),
  plain(0x343, "mtval", F.mtval),
];
