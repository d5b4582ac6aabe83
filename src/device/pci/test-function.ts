// A function for tests: a register BAR and a memory BAR, and a bus that records what it is told.
import type { Iova } from "../../base/index.ts";
import { TestHost, TestLine } from "../test-host.ts";
import { DmaStatus, type DmaPort } from "../port.ts";
import { PciFunction, type PciFunctionOptions } from "./function.ts";

/** A bus whose memory is one run of bytes; addresses past it are decode errors. */
export class TestBus {
  readonly host: TestHost = new TestHost();
  readonly intx: TestLine = new TestLine();
  readonly messages: { readonly address: bigint; readonly data: number }[] = [];
  readonly memory: Uint8Array;
  readonly dma: DmaPort = {
    read: (at, into) => {
      const from = this.#window(at, into.length);
      if (from === undefined) return DmaStatus.decodeError;
      into.set(from);
      return DmaStatus.ok;
    },
    write: (at, bytes) => {
      const to = this.#window(at, bytes.length);
      if (to === undefined) return DmaStatus.decodeError;
      to.set(bytes);
      return DmaStatus.ok;
    },
    readWindow: (at, lengthBytes) => this.#window(at, lengthBytes),
    writeWindow: (at, lengthBytes) => this.#window(at, lengthBytes),
    fence: () => {},
  };
  readonly msi = { send: (address: bigint, data: number): void => void this.messages.push({ address, data }) };

  constructor(memoryBytes = 0x1_0000) {
    this.memory = new Uint8Array(memoryBytes);
  }

  get trace(): TestHost["trace"] {
    return this.host.trace;
  }

  #window(at: Iova, lengthBytes: number): Uint8Array | undefined {
    const end = Number(at) + lengthBytes;
    return end > this.memory.length ? undefined : this.memory.subarray(Number(at), end);
  }
}

export interface TestFunction {
  readonly bus: TestBus;
  readonly pci: PciFunction;
  /** Bytes behind BAR 2. */
  readonly memory: Uint8Array;
  /** Writes that the register BAR saw: offset and value. */
  readonly written: [number, number][];
  resets: number;
}

export function makeTestFunction(options: Partial<PciFunctionOptions> = {}): TestFunction {
  const bus = new TestBus();
  const memory = new Uint8Array(0x2000);
  const written: [number, number][] = [];
  const made: { pci?: PciFunction; resets: number } = { resets: 0 };
  const pci = new PciFunction({
    name: "test",
    identity: { vendorId: 0x1234, deviceId: 0x5678, revisionId: 3, classCode: 0x08_80_00 },
    bars: [
      {
        index: 0,
        kind: "memory",
        lengthBytes: 0x1000,
        parts: [
          {
            at: 0,
            lengthBytes: 0x100,
            handler: {
              impl: { min: 4, max: 4 },
              read: (offset) => offset + 0x100,
              write: (offset, _width, value) => void written.push([offset, value]),
            },
          },
        ],
      },
      {
        index: 2,
        kind: "memory",
        lengthBytes: 0x4000,
        widthBits: 64,
        prefetchable: true,
        parts: [{ at: 0, lengthBytes: 0x2000, bytes: memory }],
      },
      { index: 4, kind: "io", lengthBytes: 0x20, parts: [] },
    ],
    interruptPin: 1,
    msi: 4,
    msix: { vectorCount: 8, bar: 2, barOffset: 0x3000, lengthBytes: 0x1000 },
    express: "endpoint",
    powerManagement: true,
    ports: { intx: bus.intx, msi: bus.msi, dma: bus.dma, trace: bus.trace },
    onReset: () => void made.resets++,
    ...options,
  });
  return {
    bus,
    pci,
    memory,
    written,
    get resets() {
      return made.resets;
    },
  };
}
