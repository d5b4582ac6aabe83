import { describe, expect, test } from "vitest";
import { AdminOpcode, Cns, Feature, IoOpcode, LogPage, Sc } from "./spec.ts";
import { DATA, NvmeDriver, settle, TestDisk } from "./test-driver.ts";

function text(driver: NvmeDriver, at: number, length: number): string {
  return new TextDecoder().decode(driver.bus.memory.subarray(DATA + at, DATA + at + length)).replace(/[\0 ]+$/, "");
}

function words(driver: NvmeDriver, count: number): number[] {
  const view = new DataView(driver.bus.memory.buffer, DATA);
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i, true));
}

async function identify(driver: NvmeDriver, cns: number, namespaceId = 0): Promise<number> {
  const command = { opcode: AdminOpcode.identify, namespaceId, prp1: BigInt(DATA), dword10: cns };
  return (await driver.admin(command)).status;
}

describe("identify", () => {
  test("tells of the controller", async () => {
    const driver = new NvmeDriver({ serial: "S123", mdts: 5 });
    driver.enable();
    expect(await identify(driver, Cns.controller)).toBe(0);
    expect([text(driver, 4, 20), text(driver, 24, 40), text(driver, 64, 8)]).toEqual([
      "S123",
      "Ratite NVMe Ctrl",
      "1.0",
    ]);
    const { memory } = driver.bus;
    // MDTS, entry sizes, namespaces, NVM commands, write cache.
    expect([memory[DATA + 77], memory[DATA + 512], memory[DATA + 513]]).toEqual([5, 0x66, 0x44]);
    expect([memory[DATA + 517], memory[DATA + 520], memory[DATA + 525]]).toEqual([1, 0x1d, 7]);
    expect(text(driver, 768, 256)).toMatch(/^nqn\.2014\.08\.org\.nvmexpress:1b361af4S123 +Ratite NVMe Ctrl/);
  });

  test("tells of namespaces", async () => {
    const driver = new NvmeDriver();
    driver.nvme.addNamespace({ id: 7, node: new TestDisk(0x2000), blockShift: 12, uuid: new Uint8Array(16).fill(3) });
    driver.enable();
    expect(await identify(driver, Cns.namespace, 7)).toBe(0);
    expect(words(driver, 2)).toEqual([2, 0]);
    // Two formats, the second in use; 512 and 4096 bytes.
    expect([...driver.bus.memory.subarray(DATA + 25, DATA + 27)]).toEqual([1, 1]);
    expect([driver.bus.memory[DATA + 130], driver.bus.memory[DATA + 134]]).toEqual([9, 12]);
    expect(await identify(driver, Cns.activeNamespaces, 0)).toBe(0);
    expect(words(driver, 3)).toEqual([1, 7, 0]);
    await identify(driver, Cns.allocatedNamespaces, 1);
    expect(words(driver, 2)).toEqual([7, 0]);
    await identify(driver, Cns.namespaceDescriptors, 7);
    expect([...driver.bus.memory.subarray(DATA, DATA + 18)]).toEqual([
      ...[1, 8, 0, 0, 0x52, 0x54, 0, 0, 0, 0, 0, 7],
      ...[3, 16, 0, 0, 3, 3],
    ]);
    await identify(driver, Cns.controllers);
    expect(words(driver, 1)).toEqual([1]);
  });

  test.each([
    ["a namespace that there is not", Cns.namespace, 2, Sc.invalidNamespace],
    ["what all namespaces share", Cns.namespace, 0xffff_ffff, Sc.invalidNamespace],
    ["namespaces after the last number", Cns.activeNamespaces, 0xffff_ffff, Sc.invalidNamespace],
    ["something unknown", 0x40, 0, Sc.invalidField],
  ])("refuses to tell of %s", async (_what, cns, namespaceId, status) => {
    const driver = new NvmeDriver();
    driver.enable();
    expect(await identify(driver, cns, namespaceId)).toBe(status);
  });
});

describe("queues", () => {
  const cq = { opcode: AdminOpcode.createCompletionQueue, prp1: 0x4000n, dword10: 0xf_0001, dword11: 1 };
  const sq = { opcode: AdminOpcode.createSubmissionQueue, prp1: 0x3000n, dword10: 0xf_0001, dword11: 0x1_0001 };

  test.each([
    ["completion queue 0", { ...cq, dword10: 0xf_0000 }, Sc.invalidQueueId],
    ["completion queue 65", { ...cq, dword10: 0xf_0041 }, Sc.invalidQueueId],
    ["a queue of one entry", { ...cq, dword10: 0x1 }, Sc.invalidQueueSize],
    ["a queue of too many entries", { ...cq, dword10: 0x0800_0001 }, Sc.invalidQueueSize],
    ["a queue in pieces", { ...cq, dword11: 0 }, Sc.invalidField],
    ["a queue off a page", { ...cq, prp1: 0x4010n }, Sc.invalidPrpOffset],
    ["a vector that there is not", { ...cq, dword11: 0x1_0003 }, Sc.invalidInterruptVector],
    ["a submission queue without completion queue", sq, Sc.invalidCompletionQueue],
    ["a submission queue on the admin one", { ...sq, dword11: 1 }, Sc.invalidCompletionQueue],
    ["no submission queue", { opcode: AdminOpcode.deleteSubmissionQueue, dword10: 1 }, Sc.invalidQueueId],
    ["the admin queues", { opcode: AdminOpcode.deleteCompletionQueue, dword10: 0 }, Sc.invalidQueueId],
  ])("that cannot be are refused: %s", async (_what, command, status) => {
    const driver = new NvmeDriver();
    driver.enable();
    expect((await driver.admin(command)).status).toBe(status);
  });

  test("exist once, and a completion queue outlives its submission queues", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    expect((await driver.admin(cq)).status).toBe(Sc.invalidQueueId);
    expect((await driver.admin(sq)).status).toBe(Sc.invalidQueueId);
    const deleteCompletion = { opcode: AdminOpcode.deleteCompletionQueue, dword10: 1 };
    expect((await driver.admin(deleteCompletion)).status).toBe(Sc.invalidQueueDeletion);
    expect((await driver.admin({ opcode: AdminOpcode.deleteSubmissionQueue, dword10: 1 })).status).toBe(0);
    expect((await driver.admin(deleteCompletion)).status).toBe(0);
    expect((await driver.admin(cq)).status).toBe(0);
  });

  test("are deleted when their commands are completed", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.isHolding = true;
    driver.submit(1, { opcode: IoOpcode.flush, namespaceId: 1 });
    driver.submit(0, { opcode: AdminOpcode.deleteSubmissionQueue, dword10: 1 });
    await settle();
    expect(driver.take(0)).toBeUndefined();
    await driver.disk.release();
    expect(driver.take(1)).toMatchObject({ status: 0 });
    expect(driver.take(0)).toMatchObject({ status: 0 });
  });
});

describe("features", () => {
  const get = (dword10: number, dword11 = 0) => ({ opcode: AdminOpcode.getFeatures, dword10, dword11 });
  const set = (dword10: number, dword11 = 0) => ({ opcode: AdminOpcode.setFeatures, dword10, dword11 });

  test.each([
    ["number of queues", Feature.queueCount, 0x003f_003f, 4],
    ["write cache", Feature.volatileWriteCache, 1, 4],
    ["error recovery", Feature.errorRecovery, 0, 6],
  ])("have a value, a default and abilities: %s", async (_what, id, value, abilities) => {
    const driver = new NvmeDriver();
    driver.enable();
    const results: number[] = [];
    for (const select of [0, 1, 2, 3]) {
      results.push((await driver.admin({ ...get(id | (select << 8)), namespaceId: 1 })).result);
    }
    expect(results).toEqual([value, value, value, abilities]);
  });

  test("are set until the controller is reset", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    await driver.admin(set(Feature.interruptVector, 0x1_0003));
    expect((await driver.admin(get(Feature.interruptVector, 3))).result).toBe(0x1_0003);
    expect((await driver.admin(get(Feature.interruptVector, 4))).result).toBe(4);
    driver.writeRegister(0x14, 0);
    driver.enable();
    expect((await driver.admin(get(Feature.interruptVector, 3))).result).toBe(3);
  });

  test.each([
    ["an unknown one", set(0x7f), Sc.invalidField],
    ["one to keep", set(0x8000_0000 | Feature.volatileWriteCache), Sc.notSaveable],
    ["65536 queues", set(Feature.queueCount, 0xffff), Sc.invalidField],
    ["a power state", set(Feature.powerManagement, 1), Sc.invalidField],
    ["a vector that there is not", set(Feature.interruptVector, 65), Sc.invalidField],
    ["a sensor that there is not", set(Feature.temperatureThreshold, 0x3_0000), Sc.invalidField],
  ])("that cannot be are refused: %s", async (_what, command, status) => {
    const driver = new NvmeDriver();
    driver.enable();
    expect((await driver.admin(command)).status).toBe(status);
  });

  test("fix the number of queues before there are any", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    expect(await driver.admin(set(Feature.queueCount, 0x1_0001))).toMatchObject({ status: 0, result: 0x3f_003f });
    driver.writeRegister(0x14, 0);
    await driver.open();
    expect((await driver.admin(set(Feature.queueCount, 0))).status).toBe(Sc.commandSequence);
  });

  test("raise an event when the temperature leaves what is set", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    await driver.admin(set(Feature.asyncEvents, 2));
    const id = driver.submit(0, { opcode: AdminOpcode.asyncEventRequest });
    await driver.admin(set(Feature.temperatureThreshold, 0x143)).then((first) => expect(first.id).toBe(id));
    expect(driver.take(0)).toMatchObject({ status: 0 });
    const smart = { opcode: AdminOpcode.getLogPage, prp1: BigInt(DATA), dword10: (127 << 16) | LogPage.smart };
    await driver.admin(smart);
    expect(driver.bus.memory[DATA]).toBe(2);
  });
});

describe("log pages", () => {
  test("can be read in parts", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    const firmware = { opcode: AdminOpcode.getLogPage, prp1: BigInt(DATA), dword10: (1 << 16) | LogPage.firmware };
    await driver.admin({ ...firmware, dword12: 8 });
    expect(text(driver, 0, 8)).toBe("1.0");
    expect((await driver.admin({ ...firmware, dword12: 2 })).status).toBe(Sc.invalidField);
    expect((await driver.admin({ ...firmware, dword12: 512 })).status).toBe(Sc.invalidField);
    expect((await driver.admin({ ...firmware, dword10: 0x70 })).status).toBe(Sc.invalidLogPage);
    expect((await driver.admin({ ...firmware, namespaceId: 1 })).status).toBe(Sc.invalidField);
  });

  test("list the commands that there are", async () => {
    const driver = new NvmeDriver();
    driver.enable();
    await driver.admin({
      opcode: AdminOpcode.getLogPage,
      ...{ prp1: BigInt(DATA), prp2: BigInt(DATA + 0x1000), dword10: (1023 << 16) | LogPage.effects },
    });
    const view = new DataView(driver.bus.memory.buffer, DATA);
    const supported = (from: number): number[] =>
      Array.from({ length: 256 }, (_, i) => i).filter((i) => (view.getUint32(from + 4 * i, true) & 1) === 1);
    expect(supported(0)).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 128]);
    expect(supported(1024)).toEqual([0, 1, 2, 5, 8, 9]);
  });
});

describe("asynchronous events and aborts", () => {
  test("more requests than allowed are refused", async () => {
    const driver = new NvmeDriver({ aerl: 1 });
    driver.enable();
    for (let i = 0; i < 3; i++) driver.submit(0, { opcode: AdminOpcode.asyncEventRequest, id: 40 + i });
    expect(driver.takeAll(0)).toMatchObject([{ id: 42, status: Sc.asyncEventLimit }]);
  });

  test("a request that waits can be aborted; what is at the disk cannot", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.submit(0, { opcode: AdminOpcode.asyncEventRequest, id: 40 });
    driver.submit(0, { opcode: AdminOpcode.abort, dword10: 40 << 16, id: 41 });
    expect(driver.takeAll(0)).toMatchObject([
      { id: 40, status: Sc.abortRequested },
      { id: 41, status: 0, result: 0 },
    ]);
    driver.disk.isHolding = true;
    driver.submit(1, { opcode: IoOpcode.flush, namespaceId: 1, id: 42 });
    expect(await driver.admin({ opcode: AdminOpcode.abort, dword10: (42 << 16) | 1 })).toMatchObject({ result: 1 });
    await driver.disk.release();
    expect(driver.take(1)).toMatchObject({ id: 42, status: 0 });
  });
});

describe("format", () => {
  const format = (dword10: number, namespaceId = 1) => ({ opcode: AdminOpcode.format, namespaceId, dword10 });

  test("clears the disk and changes the block length", async () => {
    const driver = new NvmeDriver({}, new TestDisk(32 * 2 ** 20));
    await driver.open();
    driver.disk.bytes.fill(1, 0, 100);
    driver.submit(0, format(1 | (1 << 9)));
    await settle();
    // The second half waits for the machine's next turn.
    expect(driver.take(0)).toBeUndefined();
    driver.bus.host.advanceNs(1);
    await settle();
    driver.bus.host.advanceNs(1);
    await settle();
    expect(driver.take(0)).toMatchObject({ status: 0 });
    expect(driver.disk.bytes.subarray(0, 100)).toEqual(new Uint8Array(100));
    expect(driver.disk.calls).toHaveLength(2);
    await identify(driver, Cns.namespace, 1);
    expect(words(driver, 1)).toEqual([8192]);
    expect((await driver.io({ opcode: IoOpcode.read, dword10: 8191 })).status).toBe(0);
    expect((await driver.io({ opcode: IoOpcode.read, dword10: 8192 })).status).toBe(Sc.lbaOutOfRange);
  });

  test("keeps I/O away meanwhile, also another format", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.isHolding = true;
    driver.submit(0, format(0));
    await settle();
    expect((await driver.io({ opcode: IoOpcode.read })).status).toBe(Sc.formatInProgress);
    expect((await driver.admin(format(0))).status).toBe(Sc.formatInProgress);
    await driver.disk.release();
    expect(driver.take(0)).toMatchObject({ status: 0 });
    expect((await driver.io({ opcode: IoOpcode.read })).status).toBe(0);
  });

  test("of a disk that fails says so", async () => {
    const driver = new NvmeDriver();
    await driver.open();
    driver.disk.failing = new Set(["writeZeroes"]);
    expect((await driver.admin(format(1))).status).toBe(Sc.writeFault);
    await identify(driver, Cns.namespace, 1);
    expect(words(driver, 1)).toEqual([2048]);
  });

  test.each([
    ["an unknown format", format(2), Sc.invalidFormat],
    ["metadata", format(0x10), Sc.invalidFormat],
    ["protection", format(0x20), Sc.invalidFormat],
    ["a cryptographic erase", format(2 << 9), Sc.invalidField],
    ["no namespace", format(0, 5), Sc.invalidNamespace],
  ])("is refused for %s", async (_what, command, status) => {
    const driver = new NvmeDriver();
    driver.enable();
    expect((await driver.admin(command)).status).toBe(status);
  });
});
