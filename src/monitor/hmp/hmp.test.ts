import { beforeEach, describe, expect, test } from "vitest";
import { CharMux } from "../../chardev/index.ts";
import { FakeMachine, Peer, settle } from "../testing/peer.ts";
import { Monitor } from "../monitor.ts";
import { readArguments } from "./arguments.ts";

const CTRL_A = "\u0001";
let machine: FakeMachine;
let monitor: Monitor;

beforeEach(() => {
  machine = new FakeMachine();
  monitor = new Monitor({
    machine: machine as never,
    config: { smp: 2, memoryBytes: 2 ** 27, cpu: { model: "rv64", features: {} }, name: "box" } as never,
    productVersion: "1.2.3",
    processId: 42,
    onIncoming: () => undefined,
    wallClock: { nowUnixNs: () => 1_000_000n },
    onFailure: (error) => {
      throw error;
    },
  });
});

describe("arguments", () => {
  test("are words, flags, numbers and switches", () => {
    expect(readArguments("x", "detach:-d,uri:s", '-d "a b"')).toEqual({ detach: true, uri: "a b" });
    expect(readArguments("x", "second:i,pages:i?", "0x10")).toEqual({ second: 16 });
    expect(readArguments("x", "a:-a,b:-b,n:i", "-b 3")).toEqual({ a: false, b: true, n: 3 });
    expect(readArguments("x", "name:s,state:b", "events on")).toEqual({ name: "events", state: true });
    expect(readArguments("x", "all:S?", " a  b ")).toEqual({ all: "a  b" });
  });

  test.each([
    ["detach:-d,uri:s", "-d", "m: string expected"],
    ["detach:-d,uri:s", "-x a", "m: unsupported option -x"],
    ["", "a", "m: extraneous characters at the end of line"],
    ["second:i", "abc", "invalid char 'a' in expression"],
    ["second:i", "", "unexpected end of expression"],
    ["state:b", "maybe", "Expected 'on' or 'off'"],
  ])("of %j refuse %j", (description, text, message) => {
    expect(() => readArguments("m", description, text)).toThrow(message);
  });
});

describe("at a terminal", () => {
  let peer: Peer;

  beforeEach(() => {
    peer = new Peer();
    monitor.serveReadline(peer);
    peer.front!.event!("opened");
  });

  async function type(keys: string): Promise<string> {
    peer.text = "";
    peer.say(keys);
    await settle();
    return peer.text;
  }

  test("a monitor greets and prompts", () => {
    expect(peer.text).toBe("Ratite 1.2.3 monitor - type 'help' for more information\r\n(qemu) ");
  });

  test("a line is echoed and answered", async () => {
    expect(await type("info status\r")).toBe("info status\r\nVM status: paused (prelaunch)\r\n(qemu) ");
    expect(await type("c\r\n")).toBe("c\r\n(qemu) ");
    expect(machine.runState).toBe("running");
    expect(await type("foo\n")).toBe("foo\r\nunknown command: 'foo'\r\n(qemu) ");
    expect(await type("\r")).toBe("\r\n(qemu) ");
  });

  test("several lines at once are answered one after the other", async () => {
    expect(await type("info name\rinfo uuid\r")).toBe(
      "info name\r\nbox\r\n(qemu) info uuid\r\n00000000-0000-0000-0000-000000000000\r\n(qemu) ",
    );
  });

  test("keys edit the line", async () => {
    expect(await type("infx\u007fo nane\bme\u0015info name\r")).toContain("\r\nbox\r\n");
    expect(await type("\u001b[A\r")).toBe("info name\r\nbox\r\n(qemu) ");
    expect(await type("sto\u001b[A\u001b[B\u001b[C")).toBe(`sto${"\b \b".repeat(3)}info name${"\b \b".repeat(9)}`);
  });

  test("a tab completes a name that can be no other, and lists those that can", async () => {
    expect(await type("he\t")).toBe("help ");
    expect(await type("\u0017info sta\t\r")).toContain("info status \r\nVM status");
    expect(await type("device_\t")).toContain("device_add  device_del\r\n(qemu) device_");
  });

  test("devices are plugged as -device says it", async () => {
    await type("device_add virtio-rng-pci,id=r0,bus=rp0,max-bytes=1024\r");
    expect(machine.done).toEqual([
      '{"driver":"virtio-rng-pci","properties":{"bus":"rp0","max-bytes":"1024"},"id":"r0"}',
    ]);
    expect(await type("device_del r7\r")).toContain("Error: Device 'r7' not found\r\n");
  });

  test("a monitor that goes and comes back forgets the line", async () => {
    await type("inf");
    peer.front!.event!("closed");
    peer.text = "";
    peer.front!.event!("opened");
    expect(peer.text).toContain("(qemu) ");
    expect(await type("info name\r")).toContain("\r\nbox\r\n");
  });
});

test("in a mux it speaks when it has the focus, and shows then what it could not", async () => {
  const back = new Peer();
  const mux = new CharMux({ label: "mux", back, exit: () => undefined });
  const guest = mux.channel("serial0");
  back.front!.event!("opened");
  monitor.serveReadline(mux.channel("monitor"), { isHidden: true });
  guest.write(new TextEncoder().encode("login:"));
  expect(back.text).toBe("login:");
  back.say(`${CTRL_A}c`);
  expect(back.text).toContain("login:Ratite 1.2.3 monitor");
  back.say(`stop\r${CTRL_A}c`);
  await settle();
  back.text = "";
  back.say(`${CTRL_A}cinfo`);
  expect(back.text).toBe("\r\n(qemu) info");
});
