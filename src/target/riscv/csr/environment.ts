// table: environment configuration (privileged spec §3.1.18, §10.1.10).
import { F, Menvcfg } from "../hart-core.ts";
import { plain, type Csr } from "./definition.ts";

export const environmentCsrs: readonly Csr[] = [
  plain(0x10a, "senvcfg", F.senvcfg, 1n),
  {
    number: 0x30a,
    name: "menvcfg",
    read: (h) => h.core.get(F.menvcfg),
    write: (h, value) => {
      const mask = Menvcfg.fiom | (h.has("sstc") ? Menvcfg.stce : 0n) | (h.mmu.svadu ? Menvcfg.adue : 0n);
      h.core.set(F.menvcfg, value & mask);
      h.contextChanged("none");
      h.timerChanged();
    },
  },
];
