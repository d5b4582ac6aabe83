import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AccessWidth,
  AddressSpace,
  aliasRegion,
  containerRegion,
  type CpuBus,
  MemTx,
  mmioRegion,
  type MmioHandler,
  type RamBlock,
  ramRegion,
  WorldPlan,
} from "./index.ts";

const RAM = 0x8000_0000;
const ROM = 0x1000;
const UART = 0x1000_0000;

interface Board {
  readonly space: AddressSpace;
  readonly bus: CpuBus;
  readonly root: ReturnType<typeof containerRegion>;
  readonly ram: RamBlock;
  readonly rom: RamBlock;
  readonly stores: number[][];
}

function makeBoard(): Board {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", 16 * 4096);
  const rom = plan.ram("rom", 2 * 4096, { readOnly: true });
  const world = plan.create();
  const root = containerRegion("system", 2 ** 53);
  const stores: number[][] = [];
  const uart: MmioHandler = {
    impl: { min: 1, max: 1 },
    read: (offset) => 0xa0 + offset,
    write(offset, width, value): void {
      stores.push([offset, width, value]);
    },
  };
  root.add(ramRegion(ram), RAM);
  root.add(ramRegion(rom), ROM);
  root.add(mmioRegion("uart", 8, uart), UART);
  const space = new AddressSpace("memory", root, world);
  return { space, bus: space.bus("hart 0"), root, ram, rom, stores };
}

describe("a hart's bus", () => {
  test("stores and loads RAM little-endian at each width", () => {
    const { bus, ram } = makeBoard();
    expect(bus.store(RAM + 8, 8, 0x44332211, 0x88776655)).toBe(MemTx.ok);
    expect([...ram.bytes.subarray(8, 16)]).toEqual([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    const loads = ([1, 2, 4, 8] as const).map((width) => [bus.load(RAM + 8, width), bus.low, bus.high]);
    expect(loads).toEqual([
      [0, 0x11, 0],
      [0, 0x2211, 0],
      [0, 0x44332211, 0],
      [0, 0x44332211, 0x88776655],
    ]);
  });

  test("reports its stores under the hart's name", () => {
    const { space, bus, ram } = makeBoard();
    const epoch = space.world.notes.openEpoch("e");
    bus.store(RAM + 4096 - 4, 8, 1, 1);
    const round = epoch.read();
    expect(round.pages.toArray()).toEqual([ram.offset / 4096, ram.offset / 4096 + 1]);
    expect([...round.bySource]).toEqual([["hart 0", 2]]);
  });

  test("drops stores to ROM without a fault or a report", () => {
    const { space, bus, rom } = makeBoard();
    const epoch = space.world.notes.openEpoch("e");
    expect(bus.store(ROM, 4, 1, 0)).toBe(MemTx.ok);
    expect([rom.bytes[0], epoch.countDirty()]).toEqual([0, 0]);
  });

  test("has a decode error where nothing is, below 2^53 and above", () => {
    const { bus } = makeBoard();
    bus.load(RAM, 4);
    expect([bus.load(0, 4), bus.store(0x5000_0000, 1, 0, 0)]).toEqual([1, 1]);
    expect([bus.load(2 ** 53, 8), bus.load(2 ** 56 - 8, 8), bus.store(2 ** 55, 8, 0, 0)]).toEqual([1, 1, 1]);
    expect([bus.low, bus.high]).toEqual([0, 0]);
  });

  test("ends at the last byte of a section that ends at 2^53", () => {
    const { bus, root, ram } = makeBoard();
    root.add(aliasRegion("top", ramRegion(ram)), 2 ** 53 - ram.lengthBytes);
    expect(bus.load(2 ** 53 - 8, 8)).toBe(MemTx.ok);
    expect(bus.load(2 ** 53 - 1, 8)).toBe(MemTx.decodeError);
  });

  test("makes parts of an access that runs over a section's end, and keeps devices inside theirs", () => {
    const { bus, root, stores, ram } = makeBoard();
    root.add(aliasRegion("behind", ramRegion(ram)), UART + 8);
    ram.bytes.set([1, 2, 3, 4]);
    expect(bus.load(UART + 6, 4)).toBe(MemTx.ok);
    expect(bus.low).toBe(0x0201a7a6);
    expect(bus.store(UART + 5, 8, 0x55443322, 0x99887766)).toBe(MemTx.ok);
    expect(stores).toEqual([
      [5, 1, 0x22],
      [6, 1, 0x33],
      [7, 1, 0x44],
    ]);
    expect([...ram.bytes.subarray(0, 6)]).toEqual([0x55, 0x66, 0x77, 0x88, 0x99, 0]);
  });

  test("has a decode error for an access that runs into nothing", () => {
    const { bus } = makeBoard();
    expect([bus.load(RAM + 16 * 4096 - 4, 8), bus.store(UART + 7, 2, 0, 0)]).toEqual([1, 1]);
  });

  test("gives the memory offset of pages that are RAM or ROM throughout", () => {
    const { bus, ram, rom } = makeBoard();
    expect(bus.ramPage(RAM + 3 * 4096)).toBe(ram.offset + 3 * 4096);
    expect(bus.ramPage(ROM)).toBe(rom.offset);
    expect([bus.ramPage(UART), bus.ramPage(0), bus.ramPage(RAM + 16 * 4096), bus.ramPage(2 ** 56)]).toEqual([
      -1, -1, -1, -1,
    ]);
    expect([bus.isRamWritable(RAM), bus.isRamWritable(ROM), bus.isRamWritable(UART)]).toEqual([true, false, false]);
  });

  test("has no direct page where a device covers a part of it, or an alias is out of step", () => {
    const { bus, root, ram } = makeBoard();
    root.add(mmioRegion("hole", 16, { read: () => 0, write() {} }), RAM + 4096 + 32, 1);
    root.add(aliasRegion("odd", ramRegion(ram), { offsetBytes: 16 }), 0x4000_0000);
    expect([bus.ramPage(RAM + 4096), bus.ramPage(RAM + 8192) >= 0, bus.ramPage(0x4000_0000)]).toEqual([-1, true, -1]);
  });

  test("tells its listener of a change of the view, until removed", () => {
    const { bus, root } = makeBoard();
    let changes = 0;
    const end = bus.addChangeListener(() => (changes += 1));
    root.add(mmioRegion("a", 16, { read: () => 0, write() {} }), 0);
    end();
    root.add(mmioRegion("b", 16, { read: () => 0, write() {} }), 16);
    expect(changes).toBe(1);
  });
});

describe("bulk accesses", () => {
  test("load writes ROM, and write does not", () => {
    const { space, rom } = makeBoard();
    const loader = space.world.notes.source("loader");
    expect(space.write(ROM, Uint8Array.of(9, 9), loader)).toBe(MemTx.decodeError);
    expect(rom.bytes[0]).toBe(0);
    expect(space.load(ROM, Uint8Array.of(1, 2), loader)).toBe(MemTx.ok);
    expect([...rom.bytes.subarray(0, 3)]).toEqual([1, 2, 0]);
  });

  test("a read over a gap has zeros there and goes on behind it", () => {
    const { space, ram } = makeBoard();
    ram.bytes[0] = 7;
    const into = new Uint8Array(5).fill(0xff);
    expect(space.read(RAM - 4, into)).toBe(MemTx.decodeError);
    expect([...into]).toEqual([0, 0, 0, 0, 7]);
  });

  test("a device gets accesses as wide and aligned as it accepts", () => {
    const { space, root } = makeBoard();
    const seen: number[][] = [];
    root.add(
      mmioRegion("word", 16, {
        valid: { min: 1, max: 4 },
        read(offset, width) {
          seen.push([offset, width]);
          return 0x0403_0201;
        },
        write() {},
      }),
      0x9000,
    );
    const into = new Uint8Array(9);
    expect(space.read(0x9001, into)).toBe(MemTx.ok);
    expect(seen).toEqual([
      [1, 1],
      [2, 2],
      [4, 4],
      [8, 2],
    ]);
    expect([...into]).toEqual([1, 1, 2, 1, 2, 3, 4, 1, 2]);
  });

  test("directOffset is there for a run inside one section, and for writing only in RAM", () => {
    const { space, ram, rom } = makeBoard();
    expect(space.directOffset(RAM + 5, 100, true)).toBe(ram.offset + 5);
    expect(space.directOffset(ROM, 16, false)).toBe(rom.offset);
    expect([
      space.directOffset(ROM, 16, true),
      space.directOffset(UART, 4, false),
      space.directOffset(RAM + 16 * 4096 - 4, 8, false),
    ]).toEqual([-1, -1, -1]);
  });

  test("sectionAt says what is at an address", () => {
    const { space } = makeBoard();
    expect([space.sectionAt(UART + 7)?.region.name, space.sectionAt(UART + 8)]).toEqual(["uart", undefined]);
  });
});

const SPAN = 96;

/** Bytes by address: RAM and device bytes that keep what is stored, ROM bytes that do not, and nothing. */
type NaiveByte = { value: number; readonly rom: boolean };

/** Pieces of RAM, ROM and a byte-wide device laid out at random in 96 bytes. */
class Patchwork {
  readonly space: AddressSpace;
  readonly bus: CpuBus;
  readonly bytes: (NaiveByte | undefined)[] = Array.from({ length: SPAN }, () => undefined);

  constructor(pieces: readonly { kind: "ram" | "rom" | "mmio" | "gap"; lengthBytes: number }[]) {
    const plan = new WorldPlan();
    const ram = plan.ram("ram", 4096);
    const rom = plan.ram("rom", 4096, { readOnly: true });
    const world = plan.create({ shared: false });
    const device = Uint8Array.from({ length: SPAN }, (_, i) => i + 100);
    ram.bytes.forEach((_, i) => (ram.bytes[i] = i + 1));
    rom.bytes.forEach((_, i) => (rom.bytes[i] = i + 50));
    const sources = {
      ram: { region: ramRegion(ram), bytes: ram.bytes },
      rom: { region: ramRegion(rom), bytes: rom.bytes },
      mmio: { region: mmioRegion("device", SPAN, byteDevice(device)), bytes: device },
    };
    const root = containerRegion("root", 2 ** 40);
    let at = 0;
    for (const { kind, lengthBytes } of pieces) {
      const n = Math.min(lengthBytes, SPAN - at);
      if (n === 0) break;
      if (kind !== "gap") {
        const { region, bytes } = sources[kind];
        root.add(aliasRegion(kind, region, { offsetBytes: at, lengthBytes: n }), at);
        for (let i = at; i < at + n; i++) this.bytes[i] = { value: bytes[i]!, rom: kind === "rom" };
      }
      at += n;
    }
    this.space = new AddressSpace("patchwork", root, world);
    this.bus = this.space.bus("hart 0");
  }

  naiveStore(at: number, width: number, value: bigint): MemTx {
    for (let i = 0; i < width; i++) {
      const byte = this.bytes[at + i];
      if (byte === undefined) return MemTx.decodeError;
      if (!byte.rom) byte.value = Number((value >> BigInt(i * 8)) & 0xffn);
    }
    return MemTx.ok;
  }

  naiveLoad(at: number, width: number): bigint | undefined {
    let value = 0n;
    for (let i = 0; i < width; i++) {
      const byte = this.bytes[at + i];
      if (byte === undefined) return undefined;
      value |= BigInt(byte.value) << BigInt(i * 8);
    }
    return value;
  }

  load(at: number, width: AccessWidth): bigint | undefined {
    const status = this.bus.load(at, width);
    return status === MemTx.ok ? (BigInt(this.bus.high) << 32n) | BigInt(this.bus.low) : undefined;
  }

  naiveWrite(at: number, bytes: Uint8Array): MemTx {
    let status: MemTx = MemTx.ok;
    bytes.forEach((value, i) => {
      const byte = this.bytes[at + i];
      if (byte === undefined || byte.rom) status = MemTx.decodeError;
      else byte.value = value;
    });
    return status;
  }

  everything(): Uint8Array {
    const into = new Uint8Array(SPAN);
    this.space.read(0, into);
    return into;
  }

  naiveEverything(): Uint8Array {
    return Uint8Array.from(this.bytes, (byte) => byte?.value ?? 0);
  }
}

function byteDevice(bytes: Uint8Array): MmioHandler {
  return {
    valid: { min: 1, max: 8, unaligned: true },
    impl: { min: 1, max: 1 },
    read: (offset) => bytes[offset],
    write(offset, _width, value): void {
      bytes[offset] = value;
    },
  };
}

const piece = fc.record({
  kind: fc.constantFrom("ram" as const, "ram" as const, "rom" as const, "mmio" as const, "gap" as const),
  lengthBytes: fc.integer({ min: 1, max: 20 }),
});
const at = fc.nat(SPAN + 8);

test("accesses of a hart over any borders equal single bytes, low first", () => {
  const store = fc.tuple(at, fc.constantFrom<AccessWidth>(1, 2, 4, 8), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(store, { maxLength: 20 }), (pieces, accesses) => {
      const patchwork = new Patchwork(pieces);
      for (const [address, width, value] of accesses) {
        expect(patchwork.load(address, width)).toBe(patchwork.naiveLoad(address, width));
        const status = patchwork.bus.store(address, width, Number(value & 0xffffffffn), Number(value >> 32n));
        expect(status).toBe(patchwork.naiveStore(address, width, value));
      }
      expect(patchwork.everything()).toEqual(patchwork.naiveEverything());
    }),
    { numRuns: 200 },
  );
});

test("bulk writes over any borders equal single bytes", () => {
  const write = fc.tuple(at, fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(write, { maxLength: 10 }), (pieces, writes) => {
      const patchwork = new Patchwork(pieces);
      const dma = patchwork.space.world.notes.source("dma");
      for (const [address, bytes] of writes) {
        expect(patchwork.space.write(address, bytes, dma)).toBe(patchwork.naiveWrite(address, bytes));
      }
      expect(patchwork.everything()).toEqual(patchwork.naiveEverything());
    }),
    { numRuns: 200 },
  );
});
