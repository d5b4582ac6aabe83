// table: fcsr and its parts (unprivileged spec §20.2).
import { Mstatus, W } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";

const fpOn = (h: CsrContext): boolean => h.has("f") && (h.core.word(W.mstatus) & Mstatus.fs) !== 0;
function fpCsr(number: number, name: string, shift: number, mask: number): Csr {
  return {
    number,
    name,
    available: fpOn,
    read: (h) => BigInt((h.core.word(W.fcsr) >>> shift) & mask),
    write: (h, value) => {
      const kept = h.core.word(W.fcsr) & ~(mask << shift);
      h.core.setWord(W.fcsr, kept | ((Number(value & 0xffn) & mask) << shift));
      h.core.setWord(W.mstatus, h.core.word(W.mstatus) | Mstatus.fs);
      h.core.refreshFpFast();
    },
  };
}

export const floatingPointCsrs: readonly Csr[] = [
  fpCsr(0x001, "fflags", 0, 0x1f),
  fpCsr(0x002, "frm", 5, 7),
  fpCsr(0x003, "fcsr", 0, 0xff),
];
