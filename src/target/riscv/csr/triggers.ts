// table: the triggers of Sdtrig (debug spec 1.0 §5.7), as many and as readable as on QEMU's `virt`; there is no tcontrol.
import type { Triggers } from "../triggers.ts";
import type { Csr } from "./definition.ts";

function trigger(
  number: number,
  name: string,
  read: (t: Triggers) => bigint,
  write: (t: Triggers, v: bigint) => void,
): Csr {
  return {
    number,
    name,
    available: (h) => h.has("sdtrig"),
    read: (h) => read(h.triggers),
    write: (h, value) => {
      write(h.triggers, value);
      h.contextChanged("none");
    },
  };
}

/** Types 2 (mcontrol) and 6 (mcontrol6). */
const offeredTypes = (1n << 2n) | (1n << 6n);

export const triggerCsrs: readonly Csr[] = [
  trigger(
    0x7a0,
    "tselect",
    (t) => t.selected,
    (t, value) => (t.selected = value),
  ),
  ...([1, 2, 3] as const).map((register) =>
    trigger(
      0x7a0 + register,
      `tdata${register}`,
      (t) => t.read(register),
      (t, value) => t.write(register, value),
    ),
  ),
  trigger(
    0x7a4,
    "tinfo",
    () => offeredTypes,
    () => {},
  ),
  trigger(
    0x7a8,
    "mcontext",
    (t) => t.machineContext,
    (t, value) => (t.machineContext = value),
  ),
];
