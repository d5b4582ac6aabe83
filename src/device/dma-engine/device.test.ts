import { describe, expect, test } from "vitest";
import { viewOf } from "../../base/index.ts";
import { decodeState, encodeState } from "../../state/index.ts";
import { TestBus } from "../pci/test-function.ts";
import { DmaEngine } from "./device.ts";
import { DmaEngineError } from "./errors.ts";
import { Cause, Descriptor, ENDLESS, FaultCause, MEMORY_BAR, Opcode, Register as R } from "./spec.ts";

const BUS_MASTER = 4;
const COMMAND = 4;

function makeEngine(bus = new TestBus()) {
  const engine = new DmaEngine({
    name: "engine",
    memoryBytes: 0x4000,
    vectors: 4,
    timers: bus.host.timers,
    ports: { intx: bus.intx, msi: bus.msi, dma: bus.dma, trace: bus.trace },
  });
  engine.pci.config.write(COMMAND, 2, BUS_MASTER);
  const bar = engine.pci.bar(0)!;
  const write = (at: number, value: number): void => void bar.write(at, 4, value, 0);
  const read = (at: number): number => {
    bar.read(at, 4);
    return bar.low;
  };
  const ready = (): void => {
    write(R.control, 1);
    write(R.interruptEnable, Cause.done | Cause.fault | Cause.doorbell);
  };
  const start = (opcode: number, source: number, destination: number, length: number): void => {
    write(R.sourceLow, source);
    write(R.destinationLow, destination);
    write(R.length, length);
    write(R.command, opcode);
  };
  const run = (ns = 1_000_000): void => bus.host.advanceNs(ns);
  ready();
  return { engine, bus, bar, write, read, start, run };
}

describe("transfers", () => {
  test("nothing happens within the register write; the timer moves the data and interrupts", () => {
    const { bus, start, run, read } = makeEngine();
    bus.memory.set([1, 2, 3, 4, 5], 0x100);
    start(Opcode.copy, 0x100, 0x8003, 5);
    expect(read(R.status)).toBe(1);
    expect(bus.memory[0x8003]).toBe(0);
    run();
    expect([...bus.memory.subarray(0x8003, 0x8008)]).toEqual([1, 2, 3, 4, 5]);
    expect([read(R.status), read(R.completed), read(R.movedLow)]).toEqual([0, 1, 5]);
    expect(read(R.interruptStatus)).toBe(Cause.done);
    expect(bus.intx.level).toBe(true);
  });

  test("the line falls when the cause is acknowledged", () => {
    const { bus, start, run, write } = makeEngine();
    start(Opcode.fill, 0, 0x1000, 4);
    run();
    write(R.interruptStatus, Cause.done);
    expect(bus.intx.level).toBe(false);
  });

  test("fill repeats the pattern, count counts up from it, also over chunks", () => {
    const { bus, start, run, write } = makeEngine();
    write(R.pattern, 0x0403_0201);
    start(Opcode.fill, 0, 0x1000, 6);
    run();
    expect([...bus.memory.subarray(0x1000, 0x1007)]).toEqual([1, 2, 3, 4, 1, 2, 0]);
    write(R.pattern, 10);
    start(Opcode.count, 0, 0x2000, 0x2004);
    run();
    const words = viewOf(bus.memory);
    expect(words.getUint32(0x2000, true)).toBe(10);
    expect(words.getUint32(0x4000, true)).toBe(10 + 0x800);
  });

  test("load and store go between the bus and local memory; a range past it is a fault", () => {
    const { engine, bus, start, run, read } = makeEngine();
    bus.memory.set([9, 8, 7], 0x10);
    start(Opcode.load, 0x10, 0x1ffd, 3);
    run();
    expect([...engine.localMemory.subarray(0x1ffd)]).toEqual([9, 8, 7]);
    start(Opcode.store, 0x1ffd, 0x20, 3);
    run();
    expect([...bus.memory.subarray(0x20, 0x23)]).toEqual([9, 8, 7]);
    start(Opcode.load, 0x10, 0x1ffe, 3);
    run();
    expect(read(R.faultCause)).toBe(FaultCause.localRange);
  });

  test("check makes a CRC-32", () => {
    const { bus, start, run, read } = makeEngine();
    bus.memory.set(new TextEncoder().encode("123456789"), 0x40);
    start(Opcode.check, 0x40, 0, 9);
    run();
    expect(read(R.checksum)).toBe(0xcbf4_3926);
  });

  test("a list is worked through, each entry told when it is done", () => {
    const { bus, run, read, write } = makeEngine();
    Descriptor.encode({ opcode: Opcode.fill, length: 4, destination: 0x3000n, pattern: 0x55 }, bus.memory, 0x200);
    Descriptor.encode({ opcode: Opcode.copy, length: 2, source: 0x3000n, destination: 0x3100n }, bus.memory, 0x220);
    write(R.listLow, 0x200);
    write(R.listCount, 2);
    write(R.command, Opcode.list);
    run();
    expect(bus.memory[0x3100]).toBe(0x55);
    expect(read(R.completed)).toBe(2);
    expect([0x200, 0x220].map((at) => Descriptor.decode(bus.memory, at).status)).toEqual([1, 1]);
  });

  test("repeated work adds one to the pattern each time, and endless work is stopped by software", () => {
    const { bus, start, run, read, write } = makeEngine();
    write(R.repeat, 2);
    start(Opcode.fill, 0, 0x1000, 4);
    run();
    expect(bus.memory[0x1000]).toBe(2);
    expect(read(R.completed)).toBe(3);
    write(R.repeat, ENDLESS);
    write(R.rate, 4);
    start(Opcode.fill, 0, 0x1000, 4000);
    run(9_999_999);
    expect(read(R.status)).toBe(1);
    expect(read(R.completed)).toBe(10);
    write(R.control, 5);
    expect(read(R.status)).toBe(0);
  });

  test("a rate spreads the chunks over time", () => {
    const { bus, start, run, write } = makeEngine();
    write(R.rate, 1);
    write(R.pattern, 0xff);
    start(Opcode.fill, 0, 0, 0x2000);
    run(4_095_999);
    expect([bus.memory[0], bus.memory[0x1000]]).toEqual([0xff, 0]);
    run(1);
    expect(bus.memory[0x1000]).toBe(0xff);
  });
});

describe("faults and interrupts", () => {
  test("an access that nothing answers stops the work and says where and why", () => {
    const { start, run, read } = makeEngine();
    start(Opcode.fill, 0, 0xf000, 0x3000);
    run();
    expect(read(R.status)).toBe(2);
    expect(read(R.faultCause)).toBe(FaultCause.unmapped | FaultCause.write);
    expect(read(R.faultLow)).toBe(0x1_0000);
    expect(read(R.interruptStatus)).toBe(Cause.fault);
  });

  test("an unknown opcode and a start while busy or off do no harm", () => {
    const { start, run, read, write } = makeEngine();
    start(9, 0, 0, 4);
    run();
    expect(read(R.faultCause)).toBe(FaultCause.badOpcode);
    write(R.control, 0);
    start(Opcode.fill, 0, 0, 4);
    run();
    expect(read(R.completed)).toBe(0);
  });

  test("without bus mastering every access is a fault", () => {
    const { engine, start, run, read } = makeEngine();
    engine.pci.config.write(COMMAND, 2, 0);
    start(Opcode.fill, 0, 0, 4);
    run();
    expect(read(R.faultCause)).toBe(FaultCause.unmapped | FaultCause.write);
  });

  test("causes go to their MSI-X vectors", () => {
    const { engine, bus, run, start, write } = makeEngine();
    const memory = engine.pci.bar(MEMORY_BAR)!;
    for (let v = 0; v < 4; v++) {
      memory.write(0x3000 + 16 * v, 8, 0xfee0_0000, 0);
      memory.write(0x3000 + 16 * v + 8, 8, v, 0);
    }
    engine.pci.config.write(engine.pci.msix!.at + 2, 2, 0x8000);
    write(R.vectors, 0x03_02_01);
    start(Opcode.fill, 0, 0, 4);
    run();
    start(Opcode.fill, 0, 0x2_0000, 4);
    run();
    memory.write(0, 4, 0x1234, 0);
    expect(bus.messages.map((m) => m.data)).toEqual([1, 2, 3]);
    expect(bus.intx.level).toBe(false);
  });

  test("the doorbell counts and keeps its last value", () => {
    const { engine, read } = makeEngine();
    engine.pci.bar(MEMORY_BAR)!.write(0, 4, 5, 0);
    engine.pci.bar(MEMORY_BAR)!.write(0, 4, 6, 0);
    expect([read(R.doorbellCount), read(R.doorbellValue)]).toEqual([2, 6]);
  });
});

describe("stopping and saving", () => {
  test("a quiet engine moves nothing and goes on where it was", () => {
    const { engine, bus, start, run, write, read } = makeEngine();
    write(R.rate, 1);
    write(R.pattern, 0xff);
    start(Opcode.fill, 0, 0, 0x3000);
    run(1);
    engine.setActivity("quiet");
    expect(read(R.status)).toBe(5);
    run(1e9);
    expect(bus.memory[0x1000]).toBe(0);
    engine.setActivity("running");
    run(1e9);
    expect(bus.memory[0x2fff]).toBe(0);
    expect(bus.memory[0x2ffc]).toBe(0xff);
    expect(read(R.completed)).toBe(1);
  });

  test("another engine goes on with the saved transfer", () => {
    const from = makeEngine();
    from.write(R.rate, 1);
    from.write(R.pattern, 7);
    from.start(Opcode.count, 0, 0, 0x2000);
    from.run(1);
    from.engine.setActivity("stopped");
    const to = makeEngine(from.bus);
    to.engine.setActivity("stopped");
    to.engine.loadState(decodeState(to.engine.stateDescription, encodeState(from.engine)));
    to.engine.setActivity("running");
    to.run(1e9);
    expect(viewOf(from.bus.memory).getUint32(0x1ffc, true)).toBe(7 + 0x7ff);
    expect(to.read(R.completed)).toBe(1);
  });

  test("a saved transfer that cannot be is refused", () => {
    const { engine } = makeEngine();
    const state = engine.saveState();
    const transfer = {
      opcode: Opcode.load,
      source: 0n,
      destination: 0x1fffn,
      lengthBytes: 2,
      doneBytes: 0,
      pattern: 0,
      crc: 0,
    };
    expect(() => engine.loadState({ ...state, transfer })).toThrow(DmaEngineError);
  });

  test("a reset forgets registers, work and local memory", () => {
    const { engine, start, run, read } = makeEngine();
    engine.localMemory[0] = 1;
    start(Opcode.fill, 0, 0, 4);
    engine.reset();
    run();
    expect([read(R.control), read(R.status), read(R.interruptStatus), engine.localMemory[0]]).toEqual([0, 0, 0, 0]);
  });
});
