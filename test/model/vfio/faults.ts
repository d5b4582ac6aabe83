// One fault in a machine's life with assigned devices: a call that fails, or everything of its kind, its device or its host
// from then on. The machine goes on or is refused, the guest's accesses do not throw, and nothing is left.
import { Errno } from "../../../src/iommufd/index.ts";
import { FaultSeam, type SeamCall } from "./fault-seam.ts";
import { liveOnce } from "./machine-life.ts";

export const FAULT_ERRNOS: readonly Errno[] = [
  ...[Errno.EIO, Errno.ENODEV, Errno.EINVAL],
  ...[Errno.ENOMEM, Errno.EAGAIN, Errno.EOPNOTSUPP],
];
export type FaultReach = "call" | "kind" | "device" | "host";
export const FAULT_REACHES: readonly FaultReach[] = ["call", "kind", "device", "host"];

/** Which calls fail from the first one on: it alone, those of its name, those on its file, all. */
const REACHES: Readonly<Record<FaultReach, (call: SeamCall, first: SeamCall) => boolean>> = {
  call: () => false,
  kind: (call, first) => call.name === first.name,
  device: (call, first) => call.path === first.path,
  host: () => true,
};

export interface Fault {
  /** Which call is the first that fails, counted from one. */
  readonly n: number;
  readonly reach: FaultReach;
  readonly errno: Errno;
}

export interface FaultOutcome {
  /** The call that failed first; undefined when there were not so many. */
  readonly call: SeamCall | undefined;
  readonly runState: string;
  readonly troubles: readonly string[];
  /** What the host still holds for the machine that is closed. */
  readonly left: string;
}

/** Calls of a life without faults. */
export async function countCalls(): Promise<number> {
  const seam = new FaultSeam().open();
  try {
    await liveOnce();
    return seam.count;
  } finally {
    seam.close();
  }
}

/** Throws what a machine must not: something that is no error of an operator. */
export async function runFault({ n, reach, errno }: Fault): Promise<FaultOutcome> {
  const seam = new FaultSeam().open();
  let first: SeamCall | undefined;
  seam.decide = (call) => {
    if (call.n === n) first = call;
    return first !== undefined && (call === first || REACHES[reach](call, first)) ? errno : undefined;
  };
  try {
    const life = await liveOnce();
    return { call: first, ...life, left: JSON.stringify(seam.audit()) };
  } finally {
    seam.close();
  }
}

export const NOTHING_LEFT: string = JSON.stringify({
  pinnedPages: 0,
  accountsClear: true,
  openContexts: 0,
  descriptors: 0,
});
