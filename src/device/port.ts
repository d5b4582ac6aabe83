// What a device model may know of its surroundings: an irq line, a DMA port, the bus that maps its registers.
// It never knows whether it is plugged into our own board, assigned through IOMMUFD, or served to another process.
import type { Iova, TracePort, TimerPort, ClockPort, RngPort } from "../base/index.ts";
import type { MmioHandler } from "../memory/port.ts";
import type { Saveable } from "../state/index.ts";

/** A level-sensitive interrupt output. Setting the level it has is harmless. */
export interface IrqLine {
  set(level: boolean): void;
}

/** Message-signalled interrupts: one memory write per vector, made by whoever owns the device's bus. */
export interface MsiPort {
  send(address: bigint, data: number): void;
}

/** Outcome of a DMA access; the device answers it the way its specification says (status, error bit, fault). */
export const DmaStatus = {
  ok: 0,
  /** unmapped or past memory */ decodeError: 1,
  /** permission */ accessError: 2,
} as const;
export type DmaStatus = (typeof DmaStatus)[keyof typeof DmaStatus];

/** The device's view of memory. Every write is reported under the device's name to whoever tracks dirty pages. */
export interface DmaPort {
  read(at: Iova, into: Uint8Array): DmaStatus;
  write(at: Iova, bytes: Uint8Array): DmaStatus;
  /**
   * A window on guest memory for reading, when the run is contiguous and directly reachable; undefined otherwise (use `read`).
   * Valid until the device gives the turn back: never keep it.
   */
  readWindow(at: Iova, lengthBytes: number): Uint8Array | undefined;
  /** As `readWindow`, for writing. The whole window is reported as written, so ask for no more than is written. */
  writeWindow(at: Iova, lengthBytes: number): Uint8Array | undefined;
  /** Orders earlier DMA before later ones, as seen by the harts. */
  fence(): void;
}

/** Host services that a device may be given. */
export interface DeviceHost {
  readonly timers: TimerPort;
  readonly clock: ClockPort;
  readonly rng: RngPort;
  readonly trace: TracePort;
}

/** A device with memory-mapped registers and saved state. */
export interface Device extends Saveable {
  /** The type's name as an operator knows it (`virtio-blk-device`). */
  readonly typeName: string;
  /** Back to the state after power-on; irq lines low. */
  reset(): void;
  /** Stops host-side activity; idempotent. */
  close?(): void;
}

export interface MmioDevice extends Device {
  readonly mmio: MmioHandler;
  /** Length of the register range in bytes. */
  readonly mmioLengthBytes: number;
}
