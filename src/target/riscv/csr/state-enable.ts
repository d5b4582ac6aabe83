// table: what less privileged modes may touch of state that extensions added (privileged spec, Smstateen and Ssstateen).
import { F, Mode, Mstateen, type Field64 } from "../hart-core.ts";
import { constant, type Csr, type CsrContext } from "./definition.ts";

/** True when the hart is in M-mode, or M-mode lets the others have what `bit` of mstateen0 stands for. */
export function stateEnabled(h: CsrContext, bit: bigint): boolean {
  return h.core.mode === Mode.M || !h.has("smstateen") || (h.core.get(F.mstateen0) & bit) !== 0n;
}

/** Fields of mstateen0 for which there is something to guard. */
function guarded(h: CsrContext): bigint {
  const aia = h.has("ssaia") ? Mstateen.aia | Mstateen.imsic : 0n;
  const select = h.has("ssaia") || h.has("sscsrind") ? Mstateen.csrind : 0n;
  return aia | select | (h.has("s") ? Mstateen.envcfg | Mstateen.se0 : 0n);
}

const isThere = (h: CsrContext): boolean => h.has("smstateen");

function machine(index: 0 | 1 | 2 | 3, field: Field64): Csr {
  return {
    number: 0x30c + index,
    name: `mstateen${index}`,
    available: isThere,
    read: (h) => h.core.get(field),
    write: (h, value) => {
      // Of the others only SE is defined, which guards the supervisor's register of the same number.
      h.core.set(field, value & (index === 0 ? guarded(h) : guarded(h) & Mstateen.se0));
    },
  };
}

/** No user-level state that they would guard is there, so that they are read-only zero. */
function supervisor(index: 0 | 1 | 2 | 3, guard: Field64): Csr {
  return {
    ...constant(0x10c + index, `sstateen${index}`, 0n, true),
    available: (h) => isThere(h) && h.has("s") && (h.core.mode === Mode.M || (h.core.get(guard) & Mstateen.se0) !== 0n),
  };
}

export const stateEnableCsrs: readonly Csr[] = [
  machine(0, F.mstateen0),
  machine(1, F.mstateen1),
  machine(2, F.mstateen2),
  machine(3, F.mstateen3),
  supervisor(0, F.mstateen0),
  supervisor(1, F.mstateen1),
  supervisor(2, F.mstateen2),
  supervisor(3, F.mstateen3),
];
