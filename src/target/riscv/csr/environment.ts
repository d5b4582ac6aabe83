// table: environment configuration (privileged spec §3.1.18, §10.1.10).
import { F, Menvcfg, Mstateen, type Field64 } from "../hart-core.ts";
import type { Csr, CsrContext } from "./definition.ts";
import { stateEnabled } from "./state-enable.ts";

/** What of menvcfg and senvcfg alike exists. */
function cacheBlockFields(h: CsrContext): bigint {
  return (h.has("zicbom") ? Menvcfg.cbie | Menvcfg.cbcfe : 0n) | (h.has("zicboz") ? Menvcfg.cbze : 0n);
}

/** Changes the bits in `mask`; CBIE is WARL and keeps its value when the new one is reserved. */
function writeEnvironment(h: CsrContext, field: Field64, value: bigint, mask: bigint): void {
  const writable = (value & Menvcfg.cbie) === 0x20n ? mask & ~Menvcfg.cbie : mask;
  h.core.set(field, (h.core.get(field) & ~writable) | (value & writable));
  h.contextChanged("none");
}

export const environmentCsrs: readonly Csr[] = [
  {
    number: 0x10a,
    name: "senvcfg",
    available: (h) => stateEnabled(h, Mstateen.envcfg),
    read: (h) => h.core.get(F.senvcfg),
    write: (h, value) => writeEnvironment(h, F.senvcfg, value, Menvcfg.fiom | cacheBlockFields(h)),
  },
  {
    number: 0x30a,
    name: "menvcfg",
    available: (h) => h.has("u"),
    read: (h) => h.core.get(F.menvcfg),
    write: (h, value) => {
      const translation = (h.has("svadu") ? Menvcfg.adue : 0n) | (h.has("svpbmt") ? Menvcfg.pbmte : 0n);
      const before = h.core.get(F.menvcfg);
      const mask = Menvcfg.fiom | cacheBlockFields(h) | translation | (h.has("sstc") ? Menvcfg.stce : 0n);
      writeEnvironment(h, F.menvcfg, value, mask);
      if (((before ^ h.core.get(F.menvcfg)) & translation) !== 0n) h.contextChanged("all");
      h.timerChanged();
    },
  },
];
