// A driver of the assigned devices: lists of writes for the DMA engine, buffers for the serial device.
import { viewOf } from "../../../src/base/index.ts";
import { VfioPciRegion } from "../../../src/iommufd/index.ts";
import type { AssignedDevice } from "../../../src/vfio/index.ts";

export interface DeviceWrite {
  readonly at: number;
  readonly lengthBytes: number;
  readonly pattern: number;
}

export const DESCRIPTOR_BYTES = 32;

class Registers {
  readonly #device: AssignedDevice;
  readonly #region: ReturnType<AssignedDevice["client"]["region"]>;
  readonly #bytes = new Uint8Array(4);

  constructor(device: AssignedDevice, index: number) {
    this.#device = device;
    this.#region = device.client.region(index);
  }

  set(at: number, value: number, widthBytes = 4): void {
    viewOf(this.#bytes).setUint32(0, value, true);
    this.#device.client.write(this.#region, BigInt(at), this.#bytes.subarray(0, widthBytes));
  }
}

/** What a guest's driver does before anything else. */
export function enable(device: AssignedDevice): void {
  new Registers(device, VfioPciRegion.CONFIG).set(4, 6, 2);
}

/** The list as it lies in memory, to be written there before `startList`. */
export function encodeList(writes: readonly DeviceWrite[]): Uint8Array {
  const bytes = new Uint8Array(writes.length * DESCRIPTOR_BYTES);
  const view = viewOf(bytes);
  writes.forEach(({ at, lengthBytes, pattern }, i) => {
    const from = i * DESCRIPTOR_BYTES;
    view.setUint32(from, 2, true);
    view.setUint32(from + 4, lengthBytes, true);
    view.setBigUint64(from + 16, BigInt(at), true);
    view.setUint32(from + 24, pattern, true);
  });
  return bytes;
}

export function startList(device: AssignedDevice, listAt: number, count: number): void {
  const registers = new Registers(device, VfioPciRegion.BAR0);
  registers.set(0x08, 1);
  registers.set(0x3c, listAt);
  registers.set(0x40, 0);
  registers.set(0x44, count);
  registers.set(0x48, 16);
}

/** The line leads back to itself: what lies at `from` arrives at `to`. */
export function startLoop(device: AssignedDevice, from: number, to: number, lengthBytes: number): void {
  const registers = new Registers(device, VfioPciRegion.BAR1);
  registers.set(0x20, to);
  registers.set(0x24, 0);
  registers.set(0x28, lengthBytes);
  registers.set(0x2c, 1);
  registers.set(0x10, from);
  registers.set(0x14, 0);
  registers.set(0x18, lengthBytes);
  registers.set(0x1c, 1);
}
