// What a PCI function asks of whoever owns its bus, and what it is to that bus.
import type { TracePort } from "../../base/index.ts";
import type { MemoryRegion } from "../../memory/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import type { DmaPort, IrqLine, MsiPort } from "../port.ts";

export interface PciPorts {
  /** The line that the interrupt pin is wired to. */
  readonly intx: IrqLine;
  /** Messages are memory writes; whoever owns the bus routes them. */
  readonly msi: MsiPort;
  /** DMA as the bus sees it; the function adds the command register's say. */
  readonly dma: DmaPort;
  readonly trace: TracePort;
}

/** A base address register as a bus places it. */
export interface BusBar {
  readonly index: number;
  readonly kind: "memory" | "io";
  readonly lengthBytes: number;
  /** Where the bus decodes it; undefined while it does not. */
  readonly address: bigint | undefined;
  /** What is seen there; always the same region. */
  readonly region: MemoryRegion;
}

/**
 * A function as a bus has it in a slot: a `PciFunction`, or one whose configuration space and BARs are served by somebody
 * else. The bus calls `config` with aligned accesses inside its length.
 */
export interface BusFunction {
  /** As traces call it. */
  readonly name: string;
  readonly config: {
    readonly lengthBytes: number;
    read(at: number, widthBytes: number): number;
    write(at: number, widthBytes: number, value: number): void;
  };
  readonly bars: readonly BusBar[];
  /** Set by the bus: told when a BAR begins, ceases or moves to be decoded. */
  onMapping: ((bar: BusBar) => void) | undefined;
  /** The bus was reset. */
  reset(): void;
}

/** A stretch of a BAR: registers, or bytes, or bytes whose accesses are noticed. */
export interface BarPart {
  /** Byte offset in the BAR; both are multiples of 8. */
  readonly at: number;
  readonly lengthBytes: number;
  /** Sees every access that is not made through a mapping. */
  readonly handler?: MmioHandler;
  /** The bytes themselves: this stretch can be mapped where it is page aligned. */
  readonly bytes?: Uint8Array;
}
