import { describe, expect, test } from "vitest";
import { CharMux } from "./mux.ts";
import { makeCharPipe } from "./pipe.ts";
import type { CharBackend } from "./port.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const show = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function attachFront(back: CharBackend, capacityBytes = Infinity) {
  const seen = { text: "", writable: 0, unread: 0, capacityBytes };
  back.attach({
    room: () => Math.min(seen.capacityBytes - seen.unread, 1e9),
    receive: (bytes) => {
      seen.text += show(bytes);
      seen.unread += bytes.length;
    },
    writable: () => seen.writable++,
    event: (event) => void (seen.text += event === "opened" ? "" : `<${event}>`),
  });
  return seen;
}

function makeMux(capacityBytes = 65_536) {
  const { back, peer } = makeCharPipe("stdio", capacityBytes);
  let exits = 0;
  const mux = new CharMux({ label: "mux0", back, exit: () => exits++ });
  const serial = mux.channel("serial0");
  const monitor = mux.channel("monitor");
  return { mux, peer, serial, monitor, exits: () => exits, type: (text: string) => peer.write(ascii(text)) };
}

function makeAttachedMux() {
  const made = makeMux();
  const console = attachFront(made.serial);
  const hmp = attachFront(made.monitor);
  console.text = "";
  hmp.text = "";
  return { ...made, console, hmp };
}

describe("input", () => {
  test("goes to the first channel until the focus moves", () => {
    const { type, console, hmp } = makeAttachedMux();
    type("ls\r");
    expect(console.text).toBe("ls\r");
    expect(hmp.text).toBe("");
  });

  test("Ctrl-A c moves the focus round, and both are told", () => {
    const { type, console, hmp, mux } = makeAttachedMux();
    type("a\x01cb\x01cd");
    expect(console.text).toBe("a<focusOut><focusIn>d");
    expect(hmp.text).toBe("<focusIn>b<focusOut>");
    expect(mux.focus).toBe("serial0");
  });

  test("Ctrl-A Ctrl-A sends one Ctrl-A", () => {
    const { type, console } = makeAttachedMux();
    type("x\x01\x01y");
    expect(console.text).toBe("x\x01y");
  });

  test("an escape may be split between two reads", () => {
    const { type, mux } = makeAttachedMux();
    type("\x01");
    type("c");
    expect(mux.focus).toBe("monitor");
  });

  test("a key without meaning is swallowed with its escape", () => {
    const { type, console } = makeAttachedMux();
    type("\x01zq");
    expect(console.text).toBe("q");
  });

  test("Ctrl-A b sends a break in its place among the bytes", () => {
    const { serial, type } = makeMux();
    type("ab\x01bcd");
    const slow = attachFront(serial, 1);
    expect(slow.text).toBe("<focusIn>a");
    slow.capacityBytes = Infinity;
    serial.frontReady();
    expect(slow.text).toBe("<focusIn>ab<break>cd");
  });

  test("Ctrl-C is an ordinary byte", () => {
    const { type, console, exits } = makeAttachedMux();
    type("\x03");
    expect(console.text).toBe("\x03");
    expect(exits()).toBe(0);
  });

  test("typed for a channel that reads slowly waits there, also after the focus has moved", () => {
    const { mux, serial, monitor, type } = makeMux();
    const slow = attachFront(serial, 0);
    const hmp = attachFront(monitor);
    type("abc\x01cinfo");
    expect(hmp.text).toBe("<focusIn>info");
    slow.capacityBytes = 100;
    serial.frontReady();
    expect(slow.text).toBe("<focusIn><focusOut>abc");
    expect(mux.focus).toBe("monitor");
  });

  test("escapes are heard while the guest reads nothing", () => {
    const { serial, type, exits } = makeMux();
    attachFront(serial, 0);
    type("a".repeat(40_000));
    type("\x01x");
    expect(exits()).toBe(1);
  });

  test("more than the queue holds is left with the back until there is room", () => {
    const { serial, type } = makeMux(200_000);
    const slow = attachFront(serial, 0);
    slow.text = "";
    type("a".repeat(150_000));
    slow.capacityBytes = Infinity;
    serial.frontReady();
    expect(slow.text).toBe("a".repeat(150_000));
  });
});

describe("the mux itself", () => {
  test("Ctrl-A x says so and exits", () => {
    const { type, peer, exits } = makeAttachedMux();
    type("\x01x");
    expect(exits()).toBe(1);
    expect(show(peer.read())).toBe("ratite: Terminated\r\n");
  });

  test("Ctrl-A h lists the keys", () => {
    const { type, peer } = makeAttachedMux();
    type("\x01h");
    expect(show(peer.read()).split("\r\n")).toEqual([
      "",
      "C-a h    print this help",
      "C-a x    exit emulator",
      "C-a b    send break (magic sysrq)",
      "C-a c    switch between console and monitor",
      "C-a C-a    sends C-a",
      "",
    ]);
  });

  test("another escape key takes Ctrl-A's place", () => {
    const { back, peer } = makeCharPipe("stdio");
    let exits = 0;
    const mux = new CharMux({ label: "m", back, exit: () => exits++, escapeByte: 0x14, programName: "vm" });
    const front = attachFront(mux.channel("c"));
    peer.write(ascii("\x01x\x14x"));
    expect(front.text).toBe("<focusIn>\x01x");
    expect(exits).toBe(1);
    expect(show(peer.read())).toBe("vm: Terminated\r\n");
  });

  test("the owner can move the focus", () => {
    const { mux, type, hmp } = makeAttachedMux();
    mux.focusOn("monitor");
    type("info");
    expect(hmp.text).toBe("<focusIn>info");
  });
});

describe("output", () => {
  test("of every channel goes to the back", () => {
    const { serial, monitor, peer } = makeAttachedMux();
    serial.write(ascii("boot "));
    monitor.write(ascii("(qemu) "));
    expect(show(peer.read())).toBe("boot (qemu) ");
  });

  test("that the back does not take is asked for again, longest waiting first", () => {
    const { mux, serial, monitor, peer } = makeMux(4);
    const order: string[] = [];
    const front = (name: string) => ({ room: () => 0, receive: () => {}, writable: () => order.push(name) });
    serial.attach(front("serial"));
    monitor.attach(front("monitor"));
    expect(serial.write(ascii("abcdef"))).toBe(4);
    expect(monitor.write(ascii("x"))).toBe(0);
    expect(serial.write(ascii("ef"))).toBe(0);
    peer.read();
    expect(order).toEqual(["serial", "monitor"]);
    mux.close();
  });

  test("a channel that fills the back again does not starve the other", () => {
    const { serial, monitor, peer } = makeMux(4);
    let left = "abcdefghijkl";
    const pump = (): void => void (left = left.slice(serial.write(ascii(left))));
    serial.attach({ room: () => 0, receive: () => {}, writable: pump });
    let sent = 0;
    monitor.attach({ room: () => 0, receive: () => {}, writable: () => (sent = monitor.write(ascii("M"))) });
    pump();
    monitor.write(ascii("M"));
    const chunks = [peer.read(), peer.read(), peer.read(), peer.read()].map(show);
    expect(sent).toBe(1);
    expect(chunks.join("")).toBe("abcdefghMijkl");
  });
});

describe("a channel that closes", () => {
  test("passes the focus on", () => {
    const { serial, mux, type, hmp } = makeAttachedMux();
    serial.close();
    type("q");
    expect(mux.focus).toBe("monitor");
    expect(hmp.text).toBe("<focusIn>q");
    expect(serial.write(ascii("gone"))).toBe(4);
  });
});

test("channels hear that the other end has closed", () => {
  const { peer, console, hmp } = makeAttachedMux();
  peer.close();
  expect([console.text, hmp.text]).toEqual(["<closed>", "<closed>"]);
});
