import { describe, expect, test } from "vitest";
import type { CharBackend, CharEvent, CharFront } from "../../../chardev/port.ts";
import { VirtioError } from "../errors.ts";
import { Register } from "../mmio/spec.ts";
import { TestGuest, type DriverQueue } from "../test-guest.ts";
import { readSerialPortConfig, readVirtioSerialConfig } from "./config.ts";
import { VirtioSerial } from "./device.ts";
import { ControlEvent, ControlMessage, SerialFeature } from "./spec.ts";

/** A back end that takes as much as the test allows, and remembers it. */
class TestBackend implements CharBackend {
  readonly label = "test";
  written = "";
  allowance = Infinity;
  waiting = new Uint8Array(0);
  front: CharFront | undefined;
  #blocked = false;

  write(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.allowance);
    this.allowance -= taken;
    this.written += Buffer.from(bytes.subarray(0, taken)).toString("latin1");
    this.#blocked = taken < bytes.length;
    return taken;
  }

  allow(bytes: number): void {
    this.allowance += bytes;
    if (this.#blocked) this.front?.writable?.();
  }

  attach(front: CharFront | undefined): void {
    this.front = front;
  }

  /** Sends as much as the front has room for; the rest waits for `frontReady`. */
  send(text: string): void {
    this.waiting = Uint8Array.from(Buffer.from(Buffer.from(this.waiting).toString("latin1") + text, "latin1"));
    this.frontReady();
  }

  frontReady(): void {
    while (this.waiting.length > 0 && (this.front?.room() ?? 0) > 0) {
      const part = this.waiting.slice(0, this.front!.room());
      this.waiting = this.waiting.slice(part.length);
      this.front!.receive(part);
    }
  }

  event(event: CharEvent): void {
    this.front?.event?.(event);
  }

  close(): void {}
}

/** A single console: the form without control queues. */
function consoleGuest() {
  const guest = new TestGuest();
  const backend = new TestBackend();
  const device = new VirtioSerial(guest.context, readVirtioSerialConfig({ max_ports: 1 }));
  device.addPort(readSerialPortConfig("virtconsole"), backend);
  guest.plug(device);
  const [receive, transmit] = guest.start([0, 1]) as [DriverQueue, DriverQueue];
  return { guest, device, backend, receive, transmit };
}

const text = (s: string) => Uint8Array.from(Buffer.from(s, "latin1"));

describe("a single console", () => {
  test("has two queues and offers no control queues", () => {
    const { guest, device } = consoleGuest();
    expect(guest.read(Register.deviceId)).toBe(3);
    expect(device.queues).toHaveLength(2);
    expect((device.deviceFeatures >> BigInt(SerialFeature.multiport)) & 1n).toBe(0n);
  });

  test("output reaches the back end and its buffer comes back with no bytes written", () => {
    const { backend, transmit } = consoleGuest();
    transmit.add([{ read: text("hel") }, { read: text("lo") }]);
    transmit.kick();
    expect(backend.written).toBe("hello");
    expect(transmit.used()).toEqual([{ head: 0, writtenBytes: 0 }]);
  });

  test("input fills the guest's buffers", () => {
    const { guest, backend, receive } = consoleGuest();
    const { at } = receive.add([{ write: 8 }]);
    receive.kick();
    backend.send("ls\n");
    expect(receive.used()).toEqual([{ head: 0, writtenBytes: 3 }]);
    expect(guest.bytesAt(at[0]!, 3)).toEqual(text("ls\n"));
    expect(guest.irq.level).toBe(true);
  });

  test("input waits at the back end until the guest has buffers, and loses nothing", () => {
    const { guest, backend, receive } = consoleGuest();
    backend.send("abcdefgh");
    expect(backend.waiting).toHaveLength(8);
    const first = receive.add([{ write: 3 }]);
    const second = receive.add([{ write: 3 }]);
    receive.kick();
    expect(guest.bytesAt(first.at[0]!, 3)).toEqual(text("abc"));
    expect(guest.bytesAt(second.at[0]!, 3)).toEqual(text("def"));
    expect(backend.waiting).toEqual(text("gh"));
  });

  test("a back end that takes little gets the rest when it has room, in order", () => {
    const { backend, transmit } = consoleGuest();
    backend.allowance = 4;
    transmit.add([{ read: text("abcdef") }]);
    transmit.add([{ read: text("ghi") }]);
    transmit.kick();
    expect(backend.written).toBe("abcd");
    expect(transmit.used()).toEqual([]);
    backend.allow(3);
    expect(backend.written).toBe("abcdefg");
    expect(transmit.used()).toHaveLength(1);
    backend.allow(10);
    expect(backend.written).toBe("abcdefghi");
    expect(transmit.used()).toHaveLength(1);
  });

  test("a kick while the back end is full does not repeat what it took", () => {
    const { backend, transmit } = consoleGuest();
    backend.allowance = 2;
    transmit.add([{ read: text("abcd") }]);
    transmit.kick();
    transmit.kick();
    backend.allow(10);
    expect(backend.written).toBe("abcd");
  });

  test("a reset in the middle of a buffer begins anew", () => {
    const { guest, backend, transmit } = consoleGuest();
    backend.allowance = 2;
    transmit.add([{ read: text("abcd") }]);
    transmit.kick();
    const [, fresh] = guest.start([0, 1]) as [DriverQueue, DriverQueue];
    fresh.add([{ read: text("xyz") }]);
    backend.allow(10);
    fresh.kick();
    expect(backend.written).toBe("abxyz");
  });

  test("input buffers that were available before DRIVER_OK are used when it comes", () => {
    const guest = new TestGuest();
    const backend = new TestBackend();
    const device = new VirtioSerial(guest.context, readVirtioSerialConfig({ max_ports: 1 }));
    device.addPort(readSerialPortConfig("virtconsole"), backend);
    guest.plug(device);
    backend.send("x");
    guest.negotiate();
    const receive = guest.queue(0);
    receive.add([{ write: 1 }]);
    guest.driverOk();
    expect(receive.usedIdx).toBe(1);
  });

  test("an emergency write needs no driver", () => {
    const guest = new TestGuest();
    const backend = new TestBackend();
    const device = new VirtioSerial(guest.context, readVirtioSerialConfig());
    device.addPort(readSerialPortConfig("virtconsole"), backend);
    guest.plug(device);
    guest.write(0x108, 0x41);
    expect(backend.written).toBe("A");
  });

  test("buffers outside memory make the device need a reset", () => {
    const { guest, backend, receive, transmit } = consoleGuest();
    transmit.describe(0, { addr: 0x10, len: 8, flags: 0 });
    transmit.offer(0);
    transmit.kick();
    expect(guest.needsReset).toBe(true);
    receive.add([{ write: 8 }]);
    backend.send("lost?");
    expect(backend.waiting).toHaveLength(5);
  });

  test("after a megabyte the rest waits for the machine's next turn", () => {
    const { guest, backend, transmit } = consoleGuest();
    const at = guest.allocate(0x40000, 16);
    for (let i = 0; i < 8; i++) {
      transmit.describe(i, { addr: at, len: 0x40000, flags: 0 });
      transmit.offer(i);
    }
    transmit.kick();
    expect(backend.written).toHaveLength(1 << 20);
    guest.host.advanceNs(0);
    expect(backend.written).toHaveLength(2 << 20);
    guest.host.advanceNs(0);
    expect(transmit.used()).toHaveLength(8);
  });
});

/** Ports with control queues; the guest has answered as Linux does until its ports are ready. */
function multiportGuest() {
  const guest = new TestGuest();
  const console0 = new TestBackend();
  const agent = new TestBackend();
  const device = new VirtioSerial(guest.context, readVirtioSerialConfig({ max_ports: 4 }));
  device.addPort(readSerialPortConfig("virtconsole"), console0);
  device.addPort(readSerialPortConfig("virtserialport", { name: "org.ratite.agent" }), agent);
  guest.plug(device);
  const [receive0, transmit0, controlIn, controlOut, receive1, transmit1] = guest.start([0, 1, 2, 3, 4, 5], {
    size: 16,
  }) as [DriverQueue, DriverQueue, DriverQueue, DriverQueue, DriverQueue, DriverQueue];
  const places: number[] = [];
  const giveControlBuffers = (count: number) => {
    for (let i = 0; i < count; i++) places.push(controlIn.add([{ write: 64 }]).at[0]!);
    controlIn.kick();
  };
  /** Control messages that have arrived since the last call, as text. */
  const control = () =>
    controlIn.used().map(({ writtenBytes }) => {
      const bytes = guest.bytesAt(places.shift()!, writtenBytes);
      const { id, event, value } = ControlMessage.decode(bytes);
      return `${ControlEvent.name(event)} ${id} ${value} ${Buffer.from(bytes.subarray(8)).toString()}`.trim();
    });
  const say = (id: number, event: number, value: number) => {
    controlOut.add([{ read: ControlMessage.encode({ id, event, value }) }]);
    controlOut.kick();
  };
  return {
    guest,
    device,
    console0,
    agent,
    receive0,
    transmit0,
    receive1,
    transmit1,
    controlOut,
    giveControlBuffers,
    control,
    say,
  };
}

describe("several ports", () => {
  test("are announced, nominated, named and opened as the specification says", () => {
    const { giveControlBuffers, control, say, agent } = multiportGuest();
    giveControlBuffers(8);
    say(0, ControlEvent.deviceReady, 1);
    expect(control()).toEqual(["portAdd 0 1", "portAdd 1 1"]);
    say(0, ControlEvent.portReady, 1);
    expect(control()).toEqual(["consolePort 0 1", "portOpen 0 1"]);
    say(1, ControlEvent.portReady, 1);
    expect(control()).toEqual(["portName 1 1 org.ratite.agent"]);
    agent.event("opened");
    agent.event("closed");
    expect(control()).toEqual(["portOpen 1 1", "portOpen 1 0"]);
  });

  test("messages wait for the guest's buffers", () => {
    const { giveControlBuffers, control, say } = multiportGuest();
    say(0, ControlEvent.deviceReady, 1);
    expect(control()).toEqual([]);
    giveControlBuffers(1);
    expect(control()).toEqual(["portAdd 0 1"]);
    giveControlBuffers(1);
    expect(control()).toEqual(["portAdd 1 1"]);
  });

  test("input waits until the guest has opened the port", () => {
    const { agent, receive1, say } = multiportGuest();
    receive1.add([{ write: 8 }]);
    receive1.kick();
    agent.send("hi");
    expect(receive1.usedIdx).toBe(0);
    say(1, ControlEvent.portOpen, 1);
    expect(receive1.usedIdx).toBe(1);
  });

  test("output goes to its own back end", () => {
    const { transmit0, transmit1, console0, agent } = multiportGuest();
    transmit0.add([{ read: text("zero") }]);
    transmit1.add([{ read: text("one") }]);
    transmit0.kick();
    transmit1.kick();
    expect([console0.written, agent.written]).toEqual(["zero", "one"]);
  });

  test("a port added while the guest runs is announced", () => {
    const { giveControlBuffers, control, device } = multiportGuest();
    giveControlBuffers(2);
    expect(device.addPort(readSerialPortConfig("virtserialport"), undefined)).toBe(2);
    expect(control()).toEqual(["portAdd 2 1"]);
  });

  test("a guest that asks without end and gives no buffers loses messages, not the machine", () => {
    const { say, device, guest } = multiportGuest();
    for (let i = 0; i < 1000; i++) say(0, ControlEvent.deviceReady, 1);
    expect(device.saveState().pendingControl).toHaveLength(256);
    expect(guest.needsReset).toBe(false);
  });

  test.each([
    ["short", Uint8Array.of(0, 0, 0)],
    ["for a port that does not exist", ControlMessage.encode({ id: 9, event: 3, value: 1 })],
    ["of an unknown kind", ControlMessage.encode({ id: 0, event: 77, value: 1 })],
    ["of failure", ControlMessage.encode({ id: 0, event: 0, value: 0 })],
  ])("a control message that is %s is traced and returned", (_name, message) => {
    const { controlOut, guest } = multiportGuest();
    controlOut.add([{ read: message }]);
    controlOut.kick();
    expect(controlOut.usedIdx).toBe(1);
    expect(guest.host.guestErrors).toHaveLength(1);
    expect(guest.needsReset).toBe(false);
  });
});

describe("port numbers", () => {
  const serial = () => new VirtioSerial(new TestGuest().context, readVirtioSerialConfig({ max_ports: 2 }));

  test("a console takes 0, others begin at 1", () => {
    const device = serial();
    expect(device.addPort(readSerialPortConfig("virtserialport"), undefined)).toBe(1);
    expect(device.addPort(readSerialPortConfig("virtconsole"), undefined)).toBe(0);
    expect(() => device.addPort(readSerialPortConfig("virtconsole"), undefined)).toThrow(/max_ports is 2/);
  });

  test.each([
    ["0 for what is no console", "virtserialport", { nr: 0 }, /reserved for virtconsole/],
    ["past max_ports", "virtconsole", { nr: 2 }, /max_ports is 2/],
  ] as const)("%s is refused", (_name, kind, properties, message) => {
    expect(() => serial().addPort(readSerialPortConfig(kind, properties), undefined)).toThrow(message);
  });

  test("a number is used once", () => {
    const device = serial();
    device.addPort(readSerialPortConfig("virtconsole", { nr: 1 }), undefined);
    expect(() => device.addPort(readSerialPortConfig("virtconsole", { nr: 1 }), undefined)).toThrow(VirtioError);
  });
});

describe("saved state", () => {
  test("a buffer that was half sent is continued elsewhere", () => {
    const { device, guest, backend, transmit } = consoleGuest();
    backend.allowance = 2;
    transmit.add([{ read: text("abcd") }]);
    transmit.kick();

    const other = new TestGuest();
    const otherBackend = new TestBackend();
    const copy = new VirtioSerial(other.context, readVirtioSerialConfig({ max_ports: 1 }));
    copy.addPort(readSerialPortConfig("virtconsole"), otherBackend);
    other.plug(copy);
    other.memory.bytes.set(guest.memory.bytes);
    copy.loadState(device.saveState());
    expect(otherBackend.written).toBe("cd");
    expect(other.u16(transmit.deviceArea + 2)).toBe(1);
  });

  test("of a device with other ports is refused", () => {
    const { device } = consoleGuest();
    const other = new VirtioSerial(new TestGuest().context, readVirtioSerialConfig({ max_ports: 1 }));
    expect(() => other.loadState(device.saveState())).toThrow(/has ports 0; here are ports/);
  });
});
