// SET_IRQS as far as every driver checks it alike (vfio_set_irqs_validate_and_prepare of Linux 7.2).
import { Errno, VfioIrqSet, VfioIrqSetFlag, VFIO_PCI_NUM_IRQS, type Caller } from "../iommufd/index.ts";
import type { DeviceCall } from "./device-call.ts";

const DATA_TYPES = VfioIrqSetFlag.DATA_NONE | VfioIrqSetFlag.DATA_BOOL | VfioIrqSetFlag.DATA_EVENTFD;
const KNOWN_FLAGS =
  DATA_TYPES | VfioIrqSetFlag.ACTION_MASK | VfioIrqSetFlag.ACTION_UNMASK | VfioIrqSetFlag.ACTION_TRIGGER;
const DATUM_BYTES: Readonly<Record<number, number>> = {
  [VfioIrqSetFlag.DATA_NONE]: 0,
  [VfioIrqSetFlag.DATA_BOOL]: 1,
  [VfioIrqSetFlag.DATA_EVENTFD]: 4,
};

export interface IrqRequest {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** What followed: one byte for each interrupt, or a descriptor. */
  readonly data: Uint8Array;
  readonly caller: Caller;
  /** The descriptor for the `i`th of the interrupts. */
  fd(i: number): number;
}

export function isSet(flags: number, bit: number): boolean {
  return (flags & bit) !== 0;
}

/** `countOf(index)`: how many interrupts there are of a kind. */
export function readIrqRequest(call: DeviceCall, countOf: (index: number) => number): IrqRequest | number {
  const header = call.values(VfioIrqSet);
  if (typeof header === "number") return header;
  const { argsz, flags, index, start, count } = header;
  const headerBytes = VfioIrqSet.lengthBytes;
  if (argsz < headerBytes || index >= VFIO_PCI_NUM_IRQS) return -Errno.EINVAL;
  if ((flags & ~KNOWN_FLAGS) !== 0) return -Errno.EINVAL;
  const most = countOf(index);
  if (start >= most || start + count > most) return -Errno.EINVAL;
  const datumBytes = DATUM_BYTES[flags & DATA_TYPES];
  if (datumBytes === undefined || argsz - headerBytes < count * datumBytes) return -Errno.EINVAL;
  const data = call.bytes(headerBytes, count * datumBytes);
  if (data === undefined) return -Errno.EFAULT;
  const view = new DataView(data.buffer);
  return { flags, index, start, count, data, caller: call.caller, fd: (i) => view.getInt32(4 * i, true) };
}
