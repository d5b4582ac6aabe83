import { describe, expect, test } from "vitest";
import { decodeState, encodeState } from "../../../state/index.ts";
import { Msix } from "../../pci/spec.ts";
import { NvmeError } from "./errors.ts";
import { AdminOpcode, Feature, IoOpcode, LogPage, Register, Sc } from "./spec.ts";
import { DATA, NvmeDriver, Place, settle, TestDisk } from "./test-driver.ts";

const ENABLED = 0x0046_0001;

describe("registers", () => {
  test("say what the controller can do", () => {
    const driver = new NvmeDriver();
    expect(driver.readRegister(Register.capabilitiesLow)).toBe(0x0f01_07ff);
    expect(driver.readRegister(Register.capabilitiesHigh)).toBe(0x0040_0020);
    expect(driver.readRegister(Register.version)).toBe(0x1_0400);
    expect(driver.nvme.pci.config.read(0, 4)).toBe(0x0010_1b36);
    expect(driver.nvme.pci.config.read(8, 4)).toBe(0x0108_0202);
  });

  test("enable and disable; the admin queues' registers stay", () => {
    const driver = new NvmeDriver();
    driver.enable();
    expect(driver.readRegister(Register.status)).toBe(1);
    driver.writeRegister(Register.configuration, 0);
    expect(driver.readRegister(Register.status)).toBe(0);
    expect(driver.readRegister(Register.adminSubmissionLow)).toBe(Place.adminSubmission);
  });

  test.each([
    ["another command set", { config: ENABLED | 0x10 }],
    ["another arbitration", { config: ENABLED | 0x800 }],
    ["a page of 128 KiB", { config: ENABLED | (5 << 7) }],
    ["queues off a page", { config: ENABLED | (1 << 7) }],
  ])("report a fatal error for %s", (_what, { config }) => {
    const driver = new NvmeDriver();
    driver.enable(config);
    expect(driver.readRegister(Register.status)).toBe(2);
    driver.writeRegister(Register.configuration, 0);
    driver.enable();
    expect(driver.readRegister(Register.status)).toBe(1);
  });

  test("shut down after a flush", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    driver.disk.isHolding = true;
    driver.writeRegister(Register.configuration, ENABLED | 0x4000);
    expect(driver.readRegister(Register.status)).toBe(0b0101);
    await driver.disk.release();
    expect(driver.readRegister(Register.status)).toBe(0b1001);
    expect(driver.disk.calls).toEqual(["flush"]);
    driver.writeRegister(Register.configuration, ENABLED);
    expect(driver.readRegister(Register.status)).toBe(1);
  });
});

describe("I/O", () => {
  test("goes from memory to the disk and back", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.bus.memory.set([1, 2, 3, 4], DATA);
    const written = await driver.io({ opcode: IoOpcode.write, dword10: 5, dword12: 0 });
    expect(written).toMatchObject({ status: 0, submissionHead: 1, submissionQueue: 1 });
    expect([...driver.disk.bytes.subarray(5 * 512, 5 * 512 + 4)]).toEqual([1, 2, 3, 4]);
    await driver.io({ opcode: IoOpcode.read, dword10: 5, prp1: BigInt(DATA + 0x1000) });
    expect([...driver.bus.memory.subarray(DATA + 0x1000, DATA + 0x1004)]).toEqual([1, 2, 3, 4]);
  });

  test("of the largest transfer goes in pieces, by a PRP list", async () => {
    const driver = new NvmeDriver({}, new TestDisk(0x20_0000));
    await driver.open();
    const pages = 128;
    for (let i = 0; i < pages; i++) driver.disk.bytes[i * 4096] = i + 1;
    const view = new DataView(driver.bus.memory.buffer);
    for (let i = 1; i < pages; i++) view.setBigUint64(0x5000 + 8 * (i - 1), BigInt(0x1_0000 + i * 4096), true);
    const { status } = await driver.io({
      opcode: IoOpcode.read,
      ...{ prp1: 0x1_0000n, prp2: 0x5000n, dword12: pages * 8 - 1 },
    });
    expect(status).toBe(0);
    expect(driver.disk.calls).toEqual([0, 1, 2, 3].map((i) => `read ${i * 131072} 131072`));
    for (let i = 0; i < pages; i++) expect(driver.bus.memory[0x1_0000 + i * 4096]).toBe(i + 1);
    expect((await driver.io({ opcode: IoOpcode.read, dword12: pages * 8 })).status).toBe(Sc.invalidField);
  });

  test("by SGL", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.bytes.fill(7, 0, 512);
    const { status } = await driver.io({
      opcode: IoOpcode.read,
      // A data block of 512 bytes at 0x8001.
      ...{ flags: 0x40, prp1: BigInt(DATA + 1), prp2: 512n },
    });
    expect(status).toBe(0);
    expect([...driver.bus.memory.subarray(DATA, DATA + 2)]).toEqual([0, 7]);
    expect(driver.bus.memory[DATA + 512]).toBe(7);
    expect(driver.bus.memory[DATA + 513]).toBe(0);
  });

  test("runs many commands at a time, and completes them as they finish", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.isHolding = true;
    const ids = [0, 1, 2, 3].map((block) =>
      driver.submit(1, { opcode: IoOpcode.read, namespaceId: 1, prp1: BigInt(DATA), dword10: block }),
    );
    await settle();
    expect(driver.disk.calls).toHaveLength(4);
    expect(driver.take(1)).toBeUndefined();
    await driver.disk.release(true);
    expect(driver.takeAll(1).map(({ id }) => id)).toEqual([...ids].reverse());
  });

  test("waits while the completion queue is full", async () => {
    const driver = new NvmeDriver();
    await driver.open(4);
    for (let i = 0; i < 3; i++) driver.submit(1, { opcode: IoOpcode.flush, namespaceId: 1 });
    await settle();
    driver.put(1, { opcode: IoOpcode.flush, namespaceId: 1 });
    driver.ring(1, "tail", 0);
    await settle();
    expect(driver.disk.calls).toHaveLength(3);
    expect(driver.take(1)).toBeDefined();
    await settle();
    expect(driver.disk.calls).toHaveLength(4);
    expect(driver.takeAll(1)).toHaveLength(3);
  });

  test.each([
    ["past the end", { opcode: IoOpcode.read, dword10: 2048 }, Sc.lbaOutOfRange],
    ["past 2^53", { opcode: IoOpcode.read, dword11: 0x8000_0000 }, Sc.lbaOutOfRange],
    ["over the end", { opcode: IoOpcode.write, dword10: 2047, dword12: 1 }, Sc.lbaOutOfRange],
    ["of another namespace", { opcode: IoOpcode.read, namespaceId: 2 }, Sc.invalidNamespace],
    ["of namespace 0", { opcode: IoOpcode.flush, namespaceId: 0 }, Sc.invalidNamespace],
    ["with protection information", { opcode: IoOpcode.read, dword12: 0x2000_0000 }, Sc.invalidField],
    ["that is fused", { opcode: IoOpcode.compare, flags: 1 }, Sc.invalidField],
    ["with an unknown data pointer", { opcode: IoOpcode.read, flags: 0xc0 }, Sc.invalidField],
    ["off a dword", { opcode: IoOpcode.read, prp1: 0x8001n }, Sc.invalidPrpOffset],
    ["outside memory", { opcode: IoOpcode.read, prp1: 0x1000_0000n }, Sc.dataTransferError],
    ["that does not exist", { opcode: 0x7f }, Sc.invalidOpcode],
  ])("%s is refused with its status", async (_what, fields, status) => {
    const driver = new NvmeDriver();
    await driver.open();
    expect((await driver.io(fields)).status).toBe(status);
    expect(driver.readRegister(Register.status)).toBe(1);
  });

  test("compares", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.bytes.fill(3, 0, 1024);
    driver.bus.memory.fill(3, DATA, DATA + 1024);
    expect((await driver.io({ opcode: IoOpcode.compare, dword12: 1 })).status).toBe(0);
    driver.bus.memory[DATA + 1023] = 4;
    expect((await driver.io({ opcode: IoOpcode.compare, dword12: 1 })).status).toBe(Sc.compareFailure);
  });

  test("writes zeroes and deallocates ranges", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.bytes.fill(9);
    await driver.io({ opcode: IoOpcode.writeZeroes, dword10: 1, dword12: 0x0200_0001 });
    expect(driver.disk.calls).toEqual(["writeZeroes 512 1024 true"]);
    const view = new DataView(driver.bus.memory.buffer, DATA);
    view.setUint32(4, 8, true);
    view.setBigUint64(8, 16n, true);
    view.setUint32(20, 1, true);
    view.setBigUint64(24, 2047n, true);
    expect((await driver.io({ opcode: IoOpcode.datasetManagement, dword10: 1, dword11: 4 })).status).toBe(0);
    expect(driver.disk.calls.slice(1)).toEqual(["discard 8192 4096", "discard 1048064 512"]);
    view.setBigUint64(24, 2048n, true);
    expect((await driver.io({ opcode: IoOpcode.datasetManagement, dword10: 1, dword11: 4 })).status).toBe(
      Sc.lbaOutOfRange,
    );
    expect(driver.disk.calls).toHaveLength(3);
  });

  test("is durable at once without the write cache, or where the command says so", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    await driver.io({ opcode: IoOpcode.write });
    await driver.io({ opcode: IoOpcode.write, dword12: 0x4000_0000 });
    await driver.admin({ opcode: AdminOpcode.setFeatures, dword10: Feature.volatileWriteCache, dword11: 0 });
    await driver.io({ opcode: IoOpcode.write });
    expect(driver.disk.calls).toEqual(["write 0 512", "write 0 512", "flush", "write 0 512", "flush"]);
  });

  test("of a disk that fails is a media error, and is counted", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    const failures: string[] = [];
    driver.nvme.onIoError = (operation) => failures.push(operation);
    driver.disk.failing = new Set(["read", "write", "flush"]);
    expect((await driver.io({ opcode: IoOpcode.read })).status).toBe(Sc.readError);
    expect((await driver.io({ opcode: IoOpcode.write })).status).toBe(Sc.writeFault);
    expect((await driver.io({ opcode: IoOpcode.flush })).status).toBe(Sc.internalError);
    expect(failures).toEqual(["read", "write", "flush"]);
    await driver.admin({ opcode: AdminOpcode.getLogPage, prp1: BigInt(DATA), dword10: (127 << 16) | LogPage.smart });
    expect(driver.bus.memory[DATA + 160]).toBe(3);
    expect(driver.bus.memory[DATA + 176]).toBe(3);
    await driver.admin({ opcode: AdminOpcode.getLogPage, prp1: BigInt(DATA), dword10: (15 << 16) | LogPage.error });
    const view = new DataView(driver.bus.memory.buffer, DATA);
    // The newest first: the third error, of queue 1, internal error with "more".
    expect([view.getBigUint64(0, true), view.getUint16(8, true), view.getUint16(12, true)]).toEqual([3n, 1, 0x400c]);
  });

  test("of a read-only disk does not write", async () => {
    const disk = new TestDisk();
    disk.readOnly = true;
    const driver = new NvmeDriver({}, disk);
    await driver.open();
    for (const opcode of [IoOpcode.write, IoOpcode.writeZeroes, IoOpcode.datasetManagement]) {
      expect((await driver.io({ opcode })).status).toBe(Sc.writeProtected);
    }
    expect((await driver.io({ opcode: IoOpcode.read })).status).toBe(0);
  });
});

describe("interrupts", () => {
  test("by the line last until the completion is taken, unless it is masked", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    driver.submit(0, { opcode: AdminOpcode.getFeatures, dword10: Feature.arbitration });
    expect(driver.bus.intx.level).toBe(true);
    driver.writeRegister(Register.interruptMaskSet, 1);
    expect(driver.bus.intx.level).toBe(false);
    expect(driver.readRegister(Register.interruptMaskClear)).toBe(1);
    driver.writeRegister(Register.interruptMaskClear, 1);
    expect(driver.bus.intx.level).toBe(true);
    driver.take(0);
    expect(driver.bus.intx.level).toBe(false);
  });

  test("by MSI-X go to the vector of the completion queue", async () => {
    const driver = new NvmeDriver();
    const { pci } = driver.nvme;
    const msix = pci.msix!;
    pci.config.write(msix.at + Msix.control, 2, 0x8000);
    const bar = pci.bar(0)!;
    for (const vector of [0, 5]) {
      bar.write(msix.tableOffset + 16 * vector, 8, 0x1_0000 + vector, 0);
      bar.write(msix.tableOffset + 16 * vector + 8, 8, 0x40 + vector, 0);
    }
    driver.enable();
    await driver.admin({
      opcode: AdminOpcode.createCompletionQueue,
      prp1: 0x4000n,
      dword10: 0xf_0001,
      dword11: 0x5_0003,
    });
    await driver.admin({
      opcode: AdminOpcode.createSubmissionQueue,
      prp1: 0x3000n,
      dword10: 0xf_0001,
      dword11: 0x1_0001,
    });
    driver.bus.messages.length = 0;
    driver.bus.memory[0x3000] = 0x7f;
    driver.ring(1, "tail", 1);
    await settle();
    expect(driver.bus.messages).toEqual([{ address: 0x1_0005n, data: 0x45 }]);
    expect(driver.bus.intx.level).toBe(false);
  });
});

describe("doorbells", () => {
  test.each([
    ["of a queue that there is not", 3, 0, 0x0001_0000],
    ["past the queue's end", 0, 16, 0x0001_0100],
  ])("%s raise an event", async (_what, queue, value, result) => {
    const driver = new NvmeDriver();
    driver.enable();
    const id = driver.submit(0, { opcode: AdminOpcode.asyncEventRequest });
    driver.ring(queue, "tail", value);
    expect(driver.take(0)).toMatchObject({ id, status: 0, result });
    driver.ring(queue, "tail", value);
    driver.submit(0, { opcode: AdminOpcode.asyncEventRequest });
    expect(driver.take(0)).toBeUndefined();
    await driver.admin({ opcode: AdminOpcode.getLogPage, prp1: BigInt(DATA), dword10: (15 << 16) | LogPage.error });
    driver.ring(queue, "tail", value);
    expect(driver.take(0)).toMatchObject({ status: 0, result });
  });

  test("before the controller is ready are ignored", () => {
    const driver = new NvmeDriver();
    driver.ring(0, "tail", 1);
    expect(driver.bus.host.guestErrors).toHaveLength(1);
  });

  test("of queues outside memory end the controller until it is reset", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    driver.writeRegister(Register.configuration, 0);
    driver.writeRegister(Register.adminCompletionLow, 0x100_0000);
    driver.writeRegister(Register.configuration, ENABLED);
    driver.submit(0, { opcode: AdminOpcode.identify });
    expect(driver.readRegister(Register.status)).toBe(3);
    driver.writeRegister(Register.configuration, 0);
    await driver.open();
    expect((await driver.io({ opcode: IoOpcode.read })).status).toBe(0);
  });
});

describe("resets", () => {
  test("forget what is under way, and new commands wait for the host to finish it", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.isHolding = true;
    driver.disk.bytes.fill(5);
    driver.submit(1, { opcode: IoOpcode.read, namespaceId: 1, prp1: BigInt(DATA) });
    driver.writeRegister(Register.configuration, 0);
    driver.enable();
    driver.submit(0, { opcode: AdminOpcode.getFeatures, dword10: Feature.arbitration });
    expect(driver.take(0)).toBeUndefined();
    await driver.disk.release();
    expect(driver.bus.memory[DATA]).toBe(0);
    expect(driver.take(0)).toMatchObject({ status: 0, result: 7 });
  });

  test("of the function put everything back", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    await driver.admin({ opcode: AdminOpcode.format, namespaceId: 1, dword10: 1 });
    driver.nvme.reset();
    expect(driver.readRegister(Register.configuration)).toBe(0);
    expect(driver.readRegister(Register.adminSubmissionLow)).toBe(0);
    expect(driver.bus.intx.level).toBe(false);
  });
});

describe("standing still", () => {
  test("neither touches memory nor interrupts; afterwards everything is done", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.bytes.fill(5);
    driver.disk.isHolding = true;
    driver.submit(1, { opcode: IoOpcode.read, namespaceId: 1, prp1: BigInt(DATA) });
    driver.nvme.setActivity("quiet");
    await driver.disk.release();
    driver.submit(1, { opcode: IoOpcode.read, namespaceId: 1, prp1: BigInt(DATA + 512), dword10: 1 });
    await settle();
    expect(driver.take(1)).toBeUndefined();
    expect(driver.bus.memory[DATA]).toBe(0);
    expect(driver.bus.intx.level).toBe(false);
    driver.nvme.setActivity("running");
    await settle();
    expect(driver.takeAll(1)).toHaveLength(2);
    expect([driver.bus.memory[DATA], driver.bus.memory[DATA + 512]]).toEqual([5, 5]);
  });

  test("drains: what was submitted is at the disk and in memory", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.isHolding = true;
    for (let i = 0; i < 5; i++)
      driver.submit(1, { opcode: IoOpcode.write, namespaceId: 1, prp1: BigInt(DATA), dword10: i });
    const drained = driver.nvme.drain();
    await driver.disk.release();
    await drained;
    expect(driver.takeAll(1)).toHaveLength(5);
  });
});

describe("saved state", () => {
  /** A second controller with the same memory and disk. */
  async function moved(from: NvmeDriver, properties = {}): Promise<NvmeDriver> {
    const to = new NvmeDriver(properties, from.disk, from.bus);
    const bytes = encodeState(from.nvme);
    to.nvme.pci.loadState(from.nvme.pci.saveState());
    to.nvme.loadState(decodeState(to.nvme.stateDescription, bytes));
    expect(encodeState(to.nvme)).toEqual(bytes);
    await settle();
    return to;
  }

  test("goes on with queues, features, events and formats", async () => {
    const from = new NvmeDriver();
    await from.open();
    await from.admin({ opcode: AdminOpcode.format, namespaceId: 1, dword10: 1 });
    await from.admin({ opcode: AdminOpcode.setFeatures, dword10: Feature.interruptCoalescing, dword11: 0x1234 });
    from.submit(0, { opcode: AdminOpcode.asyncEventRequest, id: 99 });
    await from.io({ opcode: IoOpcode.write, dword10: 1 });
    const to = await moved(from);
    // The same driver, but its registers are the other controller's.
    from.nvme = to.nvme;
    expect(await from.io({ opcode: IoOpcode.write, dword10: 2 })).toMatchObject({ status: 0 });
    expect(from.disk.calls.slice(-2)).toEqual(["write 4096 4096", "write 8192 4096"]);
    expect(await from.admin({ opcode: AdminOpcode.getFeatures, dword10: Feature.interruptCoalescing })).toMatchObject({
      result: 0x1234,
    });
    from.ring(7, "tail", 0);
    expect(from.take(0)).toMatchObject({ id: 99, result: 0x0001_0000 });
  });

  test("carries commands out that were under way", async () => {
    const from = new NvmeDriver();
    await from.open();
    from.bus.memory.fill(6, DATA, DATA + 512);
    from.disk.isHolding = true;
    const id = from.submit(1, { opcode: IoOpcode.write, namespaceId: 1, prp1: BigInt(DATA), dword10: 3 });
    await settle();
    from.nvme.setActivity("stopped");
    from.disk.isHolding = false;
    const to = await moved(from);
    await settle();
    expect(from.disk.bytes[3 * 512]).toBe(6);
    from.nvme = to.nvme;
    expect(from.take(1)).toMatchObject({ id, status: 0 });
    expect(from.take(1)).toBeUndefined();
  });

  test("of another controller is refused, with nothing changed", async () => {
    const from = new NvmeDriver();
    await from.open();
    const state = from.nvme.saveState();
    const to = new NvmeDriver({ max_ioqpairs: 2, msix_qsize: 2 });
    await to.open();
    const before = encodeState(to.nvme);
    const broken = [
      { ...state, submissionQueues: state.submissionQueues.map((queue) => ({ ...queue, id: queue.id + 2 })) },
      { ...state, submissionQueues: state.submissionQueues.map((queue) => ({ ...queue, tail: 16 })) },
      { ...state, completionQueues: state.completionQueues.map((queue) => ({ ...queue, vector: 2 })) },
      { ...state, completionQueues: [] },
      { ...state, unfinished: [{ queue: 1, command: new Uint8Array(3) }] },
      { ...state, formats: [{ namespace: 1, blockShift: 10 }] },
    ];
    for (const each of broken) expect(() => to.nvme.loadState(each)).toThrow(NvmeError);
    expect(encodeState(to.nvme)).toEqual(before);
  });
});
