// What a device model may know of its surroundings: an irq line, a DMA port, the bus that maps its registers.
// It never knows whether it is plugged into our own board, assigned through IOMMUFD, or served to another process.
import type { TracePort, TimerPort, ClockPort, RngPort } from "../base/index.ts";
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

export { DmaStatus, type DmaPort } from "../memory/port.ts";

/** Begins work that waits for the host; whoever runs the machine may choose when, and may do one thing after the other. */
export interface WorkPort {
  start(task: () => Promise<void>): void;
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
