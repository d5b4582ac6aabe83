// The states of a device that migrates, and the next step on the way from one to another
// (vfio_mig_get_next_state of Linux 7.2, drivers/vfio/vfio_main.c).
import type { Activity } from "../../device/pci/index.ts";
import { Errno, VfioDeviceState as S, VfioMigrationFlag } from "../../iommufd/index.ts";

const { STOP_COPY, P2P, PRE_COPY } = VfioMigrationFlag;

/** What a device must be able to do to be in a state. */
const needs: Readonly<Record<number, number>> = {
  [S.ERROR]: 0,
  [S.STOP]: STOP_COPY,
  [S.RUNNING]: STOP_COPY,
  [S.STOP_COPY]: STOP_COPY,
  [S.RESUMING]: STOP_COPY,
  [S.RUNNING_P2P]: STOP_COPY | P2P,
  [S.PRE_COPY]: STOP_COPY | PRE_COPY,
  [S.PRE_COPY_P2P]: STOP_COPY | P2P | PRE_COPY,
};

type Row = readonly [
  stop: number,
  running: number,
  stopCopy: number,
  resuming: number,
  p2p: number,
  pre: number,
  preP2p: number,
];

const {
  ERROR: E,
  STOP,
  RUNNING: RUN,
  STOP_COPY: COPY,
  RESUMING: RES,
  RUNNING_P2P: RP2P,
  PRE_COPY: PRE,
  PRE_COPY_P2P: PP2P,
} = S;

/** First step from a state (row) towards another (column, in the order of the states from STOP on). */
const steps: Readonly<Record<number, Row>> = {
  //             STOP  RUN   COPY  RES   RP2P  PRE   PP2P
  [S.STOP]: [STOP, RP2P, COPY, RES, RP2P, RP2P, RP2P],
  [S.RUNNING]: [RP2P, RUN, RP2P, RP2P, RP2P, PRE, RP2P],
  [S.PRE_COPY]: [RUN, RUN, PP2P, RUN, RUN, PRE, PP2P],
  [S.PRE_COPY_P2P]: [RP2P, RP2P, COPY, RP2P, RP2P, PRE, PP2P],
  [S.STOP_COPY]: [STOP, STOP, COPY, STOP, STOP, E, E],
  [S.RESUMING]: [STOP, STOP, STOP, RES, STOP, STOP, STOP],
  [S.RUNNING_P2P]: [STOP, RUN, STOP, STOP, RP2P, RUN, PP2P],
};

function isAble(flags: number, state: number): boolean {
  const needed = needs[state];
  return needed !== undefined && (needed & flags) === needed;
}

/** The next state on the way; -EINVAL when there is no way, or the device cannot be in the state that is wanted. */
export function nextState(flags: number, from: number, to: number): number {
  if (from === S.ERROR || to === S.ERROR || !isAble(flags, to)) return -Errno.EINVAL;
  let next = steps[from]![to - S.STOP]!;
  // States that the device does not have are stepped over.
  while (next !== S.ERROR && !isAble(flags, next)) next = steps[next]![to - S.STOP]!;
  return next === S.ERROR ? -Errno.EINVAL : next;
}

/** What the device may do of its own accord. */
export function activityIn(state: number): Activity {
  if (state === S.RUNNING || state === S.PRE_COPY) return "running";
  return state === S.RUNNING_P2P || state === S.PRE_COPY_P2P ? "quiet" : "stopped";
}

export function isPrecopy(state: number): boolean {
  return state === S.PRE_COPY || state === S.PRE_COPY_P2P;
}
