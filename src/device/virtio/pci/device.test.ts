import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../base/index.ts";
import { decodeState, encodeState } from "../../../state/index.ts";
import { Command, Header, Msix } from "../../pci/spec.ts";
import { TestLine } from "../../test-host.ts";
import { Feature, featureBits, Status } from "../spec.ts";
import { EchoDevice } from "../test-device.ts";
import { DriverQueue, TestGuest } from "../test-guest.ts";
import { VirtioPci } from "./device.ts";
import { Capability, Common, NO_VECTOR, Structure } from "./spec.ts";

/** An echo device behind the transport, and a driver of its registers. */
function makeFunction(vectors = 3) {
  const guest = new TestGuest();
  const intx = new TestLine();
  const messages: { address: bigint; data: number }[] = [];
  const { trace } = guest.host;
  const pci = new VirtioPci({
    ...{ typeName: "echo-pci", name: "echo", deviceId: 0x2a, classCode: 0x00_ff_00, vectors, isEndpoint: false },
    ports: { intx, msi: { send: (address, data) => void messages.push({ address, data }) }, dma: guest.memory, trace },
  });
  const device = new EchoDevice({ ...guest.context, dma: pci.dma });
  pci.plug(device);
  const { config } = pci.pci;
  config.write(Header.command, 2, Command.memory | Command.busMaster);
  const bar = pci.pci.bar(4)!;
  const read = (at: number, width: 1 | 2 | 4 = 4): number => {
    bar.read(at, width);
    return bar.low;
  };
  const write = (at: number, value: number, width: 1 | 2 | 4 = 4): void => void bar.write(at, width, value, 0);
  const set = (field: keyof typeof Common, value: number, width: 1 | 2 | 4 = 4): void =>
    write(Common[field], value, width);
  return { guest, intx, messages, pci, device, config, read, write, set };
}

type Made = ReturnType<typeof makeFunction>;

/** Brings the device up with queue 0, whose message is `vector`. */
function start(made: Made, vector = NO_VECTOR): DriverQueue {
  const { guest, read, set } = made;
  set("status", Status.acknowledge | Status.driver, 1);
  for (const word of [0, 1]) {
    set("deviceFeatureSelect", word);
    set("driverFeatureSelect", word);
    const refused = Number((featureBits(Feature.eventIdx) >> BigInt(32 * word)) & 0xffff_ffffn);
    set("driverFeature", (read(Common.deviceFeature) & ~refused) >>> 0);
  }
  set("status", Status.acknowledge | Status.driver | Status.featuresOk, 1);
  const queue = new DriverQueue(guest, 0, 8);
  set("queueSelect", 0, 2);
  set("queueSize", 8, 2);
  set("queueVector", vector, 2);
  set("queueDescriptorLow", queue.descriptorArea);
  set("queueDriverLow", queue.driverArea);
  set("queueDeviceLow", queue.deviceArea);
  set("queueEnable", 1, 2);
  set("status", read(Common.status, 1) | Status.driverOk, 1);
  return queue;
}

function echo({ guest, write }: Made, queue: DriverQueue): number[] {
  const { at } = queue.add([{ read: Uint8Array.of(0x0f) }, { write: 1 }]);
  write(Structure.notify + 4 * queue.index, queue.index, 2);
  return [...guest.bytesAt(at[1]!, 1)];
}

function capabilities({ config }: Made): number[] {
  const found: number[] = [];
  for (let at = config.read(Header.capabilities, 1); at !== 0; at = config.read(at + 1, 1)) {
    if (config.read(at, 1) === 0x09) found.push(at);
  }
  return found;
}

describe("the function", () => {
  test("is a modern one, and says where its structures are", () => {
    const made = makeFunction();
    expect(made.config.read(0, 4)).toBe(0x106a_1af4);
    expect(made.config.read(8, 1)).toBe(1);
    const shown = capabilities(made).map((at) => [
      made.config.read(at + Capability.type, 1),
      made.config.read(at + Capability.bar, 1),
      made.config.read(at + Capability.offset, 4),
    ]);
    expect(shown).toEqual([
      [1, 4, 0],
      [3, 4, 0x1000],
      [4, 4, 0x2000],
      [2, 4, 0x3000],
      [5, 0, 0],
    ]);
  });

  test("shows features, queues and the device's configuration", () => {
    const { read, set } = makeFunction();
    expect(read(Common.deviceFeature)).toBe(0x3000_0005);
    set("deviceFeatureSelect", 1);
    expect(read(Common.deviceFeature)).toBe(1);
    expect(read(Common.queueCount, 2)).toBe(2);
    expect(read(Common.queueSize, 2)).toBe(8);
    set("queueSelect", 1, 2);
    expect(read(Common.queueNotifyOffset, 2)).toBe(1);
    set("queueSelect", 2, 2);
    expect(read(Common.queueSize, 2)).toBe(0);
    expect([read(Structure.device, 1), read(Structure.device + 4)]).toEqual([1, 0x0807_0605]);
  });

  test("serves buffers, and reads back what the driver wrote", () => {
    const made = makeFunction();
    const queue = start(made);
    expect(echo(made, queue)).toEqual([0xf0]);
    expect(made.read(Common.queueEnable, 2)).toBe(1);
    expect(made.read(Common.queueDescriptorLow)).toBe(queue.descriptorArea);
    expect(made.read(Common.driverFeature)).toBe(1);
  });

  test("reaches memory only as a bus master", () => {
    const made = makeFunction();
    const queue = start(made);
    made.config.write(Header.command, 2, Command.memory);
    expect(echo(made, queue)).toEqual([0]);
    expect(made.read(Common.status, 1) & Status.deviceNeedsReset).toBe(Status.deviceNeedsReset);
  });

  test("is reset by status 0, with its vectors", () => {
    const made = makeFunction();
    start(made, 1);
    made.set("configVector", 0, 2);
    made.set("status", 0, 1);
    expect(made.read(Common.status, 1)).toBe(0);
    expect([made.read(Common.configVector, 2), made.read(Common.queueVector, 2)]).toEqual([NO_VECTOR, NO_VECTOR]);
    expect(made.read(Common.queueEnable, 2)).toBe(0);
  });

  test("can be driven through configuration space", () => {
    const { config, ...made } = makeFunction();
    const at = capabilities({ config, ...made }).at(-1)!;
    config.write(at + Capability.bar, 1, 4);
    config.write(at + Capability.offset, 4, Common.queueCount);
    config.write(at + Capability.size, 4, 2);
    expect(config.read(at + Capability.extra, 2)).toBe(2);
    config.write(at + Capability.offset, 4, Common.status);
    config.write(at + Capability.size, 4, 1);
    config.write(at + Capability.extra, 1, Status.acknowledge);
    expect(made.read(Common.status, 1)).toBe(Status.acknowledge);
    config.write(at + Capability.offset, 4, 0x3fff);
    config.write(at + Capability.size, 4, 4);
    config.write(at + Capability.extra, 4, 0xffff_ffff);
    expect(made.read(Common.status, 1)).toBe(Status.acknowledge);
  });
});

describe("interrupts", () => {
  test("by the line are acknowledged by reading their status", () => {
    const made = makeFunction(0);
    const queue = start(made);
    echo(made, queue);
    expect(made.intx.level).toBe(true);
    expect(made.read(Structure.interrupt, 1)).toBe(1);
    expect([made.intx.level, made.read(Structure.interrupt, 1)]).toEqual([false, 0]);
    made.device.changeConfig(0, 9);
    expect(made.read(Structure.interrupt, 1)).toBe(2);
  });

  test("by MSI-X go to the queue's vector, or nowhere", () => {
    const made = makeFunction();
    const { pci, config, messages, intx, set, read } = made;
    const msix = pci.pci.msix!;
    config.write(msix.at + Msix.control, 2, 0x8000);
    const table = pci.pci.bar(1)!;
    table.write(16, 8, 0x1000, 0);
    table.write(24, 8, 0x55, 0);
    const queue = start(made, 1);
    echo(made, queue);
    expect(messages).toEqual([{ address: 0x1000n, data: 0x55 }]);
    expect(intx.level).toBe(false);
    set("queueVector", 3, 2);
    expect(read(Common.queueVector, 2)).toBe(NO_VECTOR);
    echo(made, queue);
    expect(messages).toHaveLength(1);
  });
});

describe("a driver that writes anything", () => {
  test.each([1n, 2n, 3n])("cannot upset the function (seed %i)", (seed) => {
    const made = makeFunction();
    const { config, device, pci, read, write } = made;
    const rng = new SeededRng(seed);
    const bytes = new Uint8Array(4);
    const below = (n: number): number => {
      rng.fill(bytes);
      return new DataView(bytes.buffer).getUint32(0, true) % n;
    };
    const values = [0, 1, 0xf, 0xffff_ffff, 0x8000_0000];
    for (let i = 0; i < 5000; i++) {
      const width = ([1, 2, 4] as const)[below(3)]!;
      const at = (below(8) * 0x800 + below(0x40)) & ~(width - 1);
      const value = (below(2) === 0 ? values[below(values.length)]! : below(2 ** 32 - 1)) % 2 ** (8 * width);
      if (below(3) === 0) read(at, width);
      else if (below(4) > 0) write(at, value, width);
      else config.write((0x40 + below(0xc0)) & ~(width - 1), width, value);
      if (below(50) === 0) device.changeConfig(0, i & 0xff);
      if (below(500) === 0) start(made, below(4));
    }
    decodeState(pci.stateDescription, encodeState(pci));
    pci.reset();
    config.write(Header.command, 2, Command.memory | Command.busMaster);
    expect(echo(made, start(made))).toEqual([0xf0]);
  });
});

describe("saved state", () => {
  test("goes over with vectors and the line", () => {
    const from = makeFunction();
    start(from, 2);
    from.device.changeConfig(0, 5);
    const to = makeFunction();
    to.pci.pci.loadState(from.pci.pci.saveState());
    to.pci.loadState(decodeState(to.pci.stateDescription, encodeState(from.pci)));
    expect(to.read(Common.queueVector, 2)).toBe(2);
    expect(to.intx.level).toBe(true);
    expect(to.read(Structure.interrupt, 1)).toBe(2);
  });
});
