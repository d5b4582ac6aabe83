// A base address register and what it opens: its parts, and where the bus decodes it now.
import { assert, isPowerOfTwo } from "../../base/index.ts";
import { containerRegion, MemTx, MmioPort, mmioRegion, portRegion } from "../../memory/index.ts";
import type { MemoryRegion, MmioHandler } from "../../memory/index.ts";
import type { BarPart, BusBar } from "./port.ts";
import { BarFlag } from "./spec.ts";

export interface BarSpec {
  /** 0 to 5; a 64-bit one takes the next register too. */
  readonly index: number;
  readonly kind: "memory" | "io";
  /** A power of two: at least 16 for memory, 4 for I/O. */
  readonly lengthBytes: number;
  /** Default: 32. */
  readonly widthBits?: 32 | 64;
  readonly prefetchable?: boolean;
  /** What lies between parts reads 0 and ignores writes. */
  readonly parts: readonly BarPart[];
}

interface PartPort {
  readonly part: BarPart;
  readonly port: MmioPort;
}

/** What lies between the parts. */
const gap: MmioHandler = { read: () => 0, write: () => undefined };

export class PciBar implements BusBar {
  readonly index: number;
  readonly kind: "memory" | "io";
  readonly is64: boolean;
  readonly prefetchable: boolean;
  readonly lengthBytes: number;
  readonly parts: readonly BarPart[];
  /** Where the bus decodes it; undefined while it does not. */
  address: bigint | undefined;
  /** Result of the last successful `read`, as unsigned 32-bit halves. */
  low = 0;
  high = 0;
  readonly #name: string;
  readonly #ports: readonly PartPort[];
  #region: MemoryRegion | undefined;

  constructor(name: string, spec: BarSpec) {
    assert(isPowerOfTwo(spec.lengthBytes) && spec.lengthBytes >= 4, "a BAR's length is a power of two", name);
    this.#name = `${name}.bar${spec.index}`;
    this.index = spec.index;
    this.kind = spec.kind;
    this.is64 = spec.widthBits === 64;
    this.prefetchable = spec.prefetchable ?? false;
    this.lengthBytes = spec.lengthBytes;
    this.parts = [...spec.parts].sort((a, b) => a.at - b.at);
    let end = 0;
    for (const part of this.parts) {
      assert(part.at >= end && part.at % 8 === 0 && part.lengthBytes % 8 === 0, "parts of a BAR lie apart", name);
      end = part.at + part.lengthBytes;
    }
    assert(end <= spec.lengthBytes, "parts of a BAR lie inside it", name, spec.index);
    this.#ports = this.parts.map((part) => {
      const handler = part.handler ?? bytesHandler(part.bytes!);
      return { part, port: new MmioPort(this.#name, part.lengthBytes, handler) };
    });
  }

  get region(): MemoryRegion {
    this.#region ??= this.#makeRegion();
    return this.#region;
  }

  /** Low bits of the register. */
  get flags(): number {
    if (this.kind === "io") return BarFlag.io;
    return (this.is64 ? BarFlag.memory64 : 0) | (this.prefetchable ? BarFlag.prefetchable : 0);
  }

  /** Reads `width` bytes (1, 2, 4 or 8, aligned, inside the BAR) into `low` and `high`. */
  read(offset: number, width: number): MemTx {
    const found = this.#find(offset, width);
    this.low = 0;
    this.high = 0;
    if (found === undefined) return MemTx.ok;
    const status = found.port.read(offset - found.part.at, width);
    if (status === MemTx.ok) {
      this.low = found.port.low;
      this.high = found.port.high;
    }
    return status;
  }

  write(offset: number, width: number, low: number, high: number): MemTx {
    const found = this.#find(offset, width);
    return found === undefined ? MemTx.ok : found.port.write(offset - found.part.at, width, low, high);
  }

  #makeRegion(): MemoryRegion {
    const region = containerRegion(this.#name, this.lengthBytes);
    region.add(mmioRegion(`${this.#name}.gap`, this.lengthBytes, gap), 0, -1);
    for (const { part, port } of this.#ports) region.add(portRegion(port), part.at);
    return region;
  }

  #find(offset: number, width: number): PartPort | undefined {
    return this.#ports.find(({ part }) => offset >= part.at && offset + width <= part.at + part.lengthBytes);
  }
}

/** Accesses to plain bytes. */
export function bytesHandler(bytes: Uint8Array): MmioHandler {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    impl: { min: 1, max: 8 },
    read: (at, width) =>
      width === 4 ? view.getUint32(at, true) : width === 2 ? view.getUint16(at, true) : view.getUint8(at),
    write(at, width, value) {
      if (width === 4) view.setUint32(at, value, true);
      else if (width === 2) view.setUint16(at, value, true);
      else view.setUint8(at, value);
    },
    read64: (at) => view.getBigUint64(at, true),
    write64: (at, value) => view.setBigUint64(at, value, true),
  };
}
