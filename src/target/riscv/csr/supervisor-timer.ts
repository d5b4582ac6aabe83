// table: the supervisor's timer (Sstc; privileged spec §10.1, §3.1.18).
import { F, Menvcfg, Mode } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";

/** STIP is what stimecmp says, and not a bit that software sets. */
export const timerByCompare = (h: CsrContext): boolean =>
  h.has("sstc") && (h.core.get(F.menvcfg) & Menvcfg.stce) !== 0n;

export const supervisorTimerCsrs: readonly Csr[] = [
  {
    number: 0x14d,
    name: "stimecmp",
    read: (h) => h.core.get(F.stimecmp),
    write: (h, value) => {
      h.core.set(F.stimecmp, value);
      h.timerChanged();
    },
    // Below M-mode it takes both the enable and mcounteren.TM (Sstc §2).
    available: (h) =>
      h.has("sstc") && (h.core.mode === Mode.M || (timerByCompare(h) && (h.core.get(F.mcounteren) & 2n) !== 0n)),
  },
];
