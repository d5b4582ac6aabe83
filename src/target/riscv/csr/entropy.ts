// table: the entropy source (unprivileged spec, Zkr).
import { F, Mode, Mseccfg } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";

/** OPST, the state of the source: 16 bits of entropy are there. */
const ES16 = 2n << 30n;

function mayRead(h: CsrContext): boolean {
  if (!h.has("zkr")) return false;
  if (h.core.mode === Mode.M) return true;
  return (h.core.get(F.mseccfg) & (h.core.mode === Mode.S ? Mseccfg.sseed : Mseccfg.useed)) !== 0n;
}

export const entropyCsrs: readonly Csr[] = [
  {
    number: 0x015,
    name: "seed",
    available: mayRead,
    // Reading consumes, so that instructions that only read are illegal.
    needsWrite: true,
    read: (h) => ES16 | BigInt(h.entropy16()),
    write: () => {},
  },
];
