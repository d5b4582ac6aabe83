import { describe, expect, test } from "vitest";
import { makeCharPipe } from "../../../chardev/index.ts";
import { TestHost, TestLine } from "../../test-host.ts";
import { Ns16550a } from "./device.ts";

const RBR = 0;
const THR = 0;
const IER_AT = 1;
const IIR_AT = 2;
const FCR_AT = 2;
const LCR_AT = 3;
const MCR_AT = 4;
const LSR_AT = 5;
const MSR_AT = 6;
const SCR = 7;

const NO_INTERRUPT = 0x01;
/** Eight data bits, one stop bit: ten bit times a character, at 115200 baud after reset. */
const EIGHT_BITS = 0x03;
const FOUR_CHARACTERS_NS = 4 * 10 * 16 * 2 * (1e9 / 3_686_400);

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const show = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function makeUart(pipeBytes = 65_536) {
  const host = new TestHost();
  const irq = new TestLine();
  const { back, peer } = makeCharPipe("serial0", pipeBytes);
  const { timers, trace } = host;
  const uart = new Ns16550a({ backend: back, clockHz: 3_686_400, timers, irq, trace });
  const { mmio } = uart;
  const read = (offset: number): number => mmio.read(offset, 1)!;
  const write = (offset: number, value: number): void => void mmio.write(offset, 1, value);
  const send = (text: string): void => ascii(text).forEach((byte) => write(THR, byte));
  return { host, irq, peer, back, uart, mmio, read, write, send };
}

/** FIFOs on, trigger level 8, as Linux sets a 16550A. */
function makeFifoUart(pipeBytes?: number) {
  const made = makeUart(pipeBytes);
  made.write(LCR_AT, EIGHT_BITS);
  made.write(FCR_AT, 0x81);
  return made;
}

describe("registers", () => {
  test("after reset: no interrupt, transmitter empty, line connected", () => {
    const { read, irq } = makeUart();
    expect([IER_AT, IIR_AT, LCR_AT, MCR_AT, LSR_AT, MSR_AT].map(read)).toEqual([0, 1, 0, 0, 0x60, 0xb0]);
    expect(irq.level).toBe(false);
  });

  test("the scratch register keeps a byte", () => {
    const { read, write } = makeUart();
    write(SCR, 0xa5);
    expect(read(SCR)).toBe(0xa5);
  });

  test("the divisor latch hides data and interrupt enable", () => {
    const { read, write, peer, uart } = makeUart();
    write(IER_AT, 0x05);
    write(LCR_AT, 0x80);
    write(0, 0x34);
    write(1, 0x12);
    expect([read(0), read(1)]).toEqual([0x34, 0x12]);
    write(LCR_AT, 0x03);
    expect(read(IER_AT)).toBe(0x05);
    uart.flush();
    expect(peer.read()).toHaveLength(0);
  });

  test("interrupt enable and modem control keep the bits that a 16550A has", () => {
    const { read, write } = makeUart();
    write(IER_AT, 0xff);
    write(MCR_AT, 0xff);
    expect(read(IER_AT)).toBe(0x0f);
    expect(read(MCR_AT)).toBe(0x1f);
  });

  test("a wide access means the one register at its address", () => {
    const { mmio, read, uart, peer } = makeUart();
    mmio.write(THR, 4, 0xffffff41);
    mmio.write64!(THR, 0xffffffff_ffffff42n);
    uart.flush();
    expect(show(peer.read())).toBe("AB");
    expect([read(IER_AT), read(LCR_AT)]).toEqual([0, 0]);
    expect(mmio.read64!(LSR_AT)).toBe(0x60n);
  });

  test("status registers ignore writes", () => {
    const { read, write, host } = makeUart();
    write(LSR_AT, 0);
    expect(read(LSR_AT)).toBe(0x60);
    expect(host.guestErrors).toEqual(["serial: write of 0x0 to ro register lsr"]);
  });
});

describe("sending", () => {
  test("reaches the back end at the next turn", () => {
    const { send, peer, host } = makeUart();
    send("# ");
    expect(peer.read()).toHaveLength(0);
    host.advanceNs(0);
    expect(show(peer.read())).toBe("# ");
  });

  test("reaches the back end at the end of a line", () => {
    const { send, peer } = makeUart();
    send("boot\r\n# ");
    expect(show(peer.read())).toBe("boot\r\n");
  });

  test("many bytes are one write", () => {
    const { send, back, host } = makeUart();
    const lengths: number[] = [];
    const write = back.write.bind(back);
    back.write = (bytes) => {
      lengths.push(bytes.length);
      return write(bytes);
    };
    send("x".repeat(500));
    host.advanceNs(0);
    expect(lengths).toEqual([500]);
  });

  test("a back end that takes nothing makes the transmitter look busy, and nothing is lost", () => {
    const { read, write, peer, host } = makeUart(1024);
    let sent = 0;
    while ((read(LSR_AT) & 0x20) !== 0) write(THR, sent++ & 0x7f);
    expect(read(LSR_AT) & 0x60).toBe(0);
    host.advanceNs(1e9);
    let arrived = 0;
    for (let bytes = peer.read(); bytes.length > 0; bytes = peer.read()) {
      for (const byte of bytes) expect(byte).toBe(arrived++ & 0x7f);
    }
    expect(arrived).toBe(sent);
    expect(read(LSR_AT) & 0x60).toBe(0x60);
  });

  test("a driver that gives up waiting and writes all the same loses nothing for long", () => {
    const { write, peer, host } = makeUart(16);
    for (let i = 0; i < 60_000; i++) write(THR, i & 0x7f);
    host.advanceNs(0);
    let arrived = 0;
    for (let bytes = peer.read(); bytes.length > 0; bytes = peer.read()) arrived += bytes.length;
    expect(arrived).toBe(60_000);
  });

  test("a transmitter that becomes empty again interrupts", () => {
    const { read, write, peer, irq, host } = makeUart(1024);
    while ((read(LSR_AT) & 0x20) !== 0) write(THR, 0);
    host.advanceNs(0);
    while ((read(LSR_AT) & 0x20) !== 0) write(THR, 0);
    write(IER_AT, 0x02);
    expect(irq.level).toBe(false);
    for (let bytes = peer.read(); bytes.length > 0; bytes = peer.read());
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0x02);
  });

  test("resetting the transmit FIFO drops nothing that was sent", () => {
    const { send, write, peer, uart } = makeFifoUart();
    send("last words");
    write(FCR_AT, 0x87);
    uart.flush();
    expect(show(peer.read())).toBe("last words");
  });

  test("without a back end bytes vanish", () => {
    const { timers, trace } = new TestHost();
    const uart = new Ns16550a({ backend: undefined, clockHz: 3_686_400, timers, irq: new TestLine(), trace });
    for (let i = 0; i < 70_000; i++) uart.mmio.write(THR, 1, 0x41);
    expect(uart.mmio.read(LSR_AT, 1)).toBe(0x60);
  });
});

describe("transmitter-empty interrupt", () => {
  test("is raised by enabling it, and acknowledged by reading IIR", () => {
    const { read, write, irq } = makeUart();
    write(IER_AT, 0x02);
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0x02);
    expect(irq.level).toBe(false);
    expect(read(IIR_AT)).toBe(NO_INTERRUPT);
  });

  test("is raised again by disabling and enabling it (Linux's test for UART_BUG_THRE)", () => {
    const { read, write } = makeUart();
    write(IER_AT, 0x02);
    const first = read(IIR_AT);
    write(IER_AT, 0x00);
    write(IER_AT, 0x02);
    expect([first, read(IIR_AT)]).toEqual([0x02, 0x02]);
  });

  test("shows with an empty transmitter right after enabling (Linux's test for UART_BUG_TXEN)", () => {
    const { read, write } = makeUart();
    write(IER_AT, 0x02);
    expect([read(LSR_AT) & 0x40, read(IIR_AT) & 0x01]).toEqual([0x40, 0]);
  });

  test("is not raised by writing IER again while it is enabled", () => {
    const { read, write, irq } = makeUart();
    write(IER_AT, 0x02);
    read(IIR_AT);
    write(IER_AT, 0x03);
    expect(irq.level).toBe(false);
  });

  test("follows every byte sent", () => {
    const { read, write, send, irq } = makeUart();
    write(IER_AT, 0x02);
    read(IIR_AT);
    send("a");
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0x02);
  });

  test("reading IIR for another interrupt does not acknowledge it", () => {
    const { read, write, peer } = makeUart();
    write(IER_AT, 0x03);
    peer.write(ascii("k"));
    expect(read(IIR_AT)).toBe(0x04);
    read(RBR);
    expect(read(IIR_AT)).toBe(0x02);
  });
});

describe("receiving without FIFOs", () => {
  test("takes one byte at a time and interrupts for each", () => {
    const { read, write, peer, irq } = makeUart();
    write(IER_AT, 0x01);
    peer.write(ascii("ab"));
    expect(irq.level).toBe(true);
    expect([read(IIR_AT), read(LSR_AT) & 1, read(RBR)]).toEqual([0x04, 1, 0x61]);
    expect(read(RBR)).toBe(0x62);
    expect(irq.level).toBe(false);
    expect(read(LSR_AT) & 1).toBe(0);
  });

  test("an empty receiver still shows its last byte", () => {
    const { read, peer } = makeUart();
    peer.write(ascii("a"));
    expect([read(RBR), read(RBR)]).toEqual([0x61, 0x61]);
  });
});

describe("receiving with FIFOs", () => {
  test("IIR says that they are on", () => {
    expect(makeFifoUart().read(IIR_AT)).toBe(0xc1);
  });

  test("interrupts at the trigger level", () => {
    const { read, write, peer, irq } = makeFifoUart();
    write(IER_AT, 0x01);
    peer.write(ascii("1234567"));
    expect(irq.level).toBe(false);
    peer.write(ascii("8"));
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0xc4);
    read(RBR);
    expect(irq.level).toBe(false);
  });

  test.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])("FCR %i sets the trigger level to %i", (fcr, level) => {
    const { write, peer, irq } = makeFifoUart();
    write(FCR_AT, fcr);
    write(IER_AT, 0x01);
    peer.write(new Uint8Array(level - 1));
    expect(irq.level).toBe(false);
    peer.write(new Uint8Array(1));
    expect(irq.level).toBe(true);
  });

  test("fewer bytes interrupt after four character times", () => {
    const { read, write, peer, irq, host } = makeFifoUart();
    write(IER_AT, 0x01);
    peer.write(ascii("k"));
    host.advanceNs(Math.floor(FOUR_CHARACTERS_NS) - 1);
    expect(irq.level).toBe(false);
    host.advanceNs(10);
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0xcc);
    expect(read(RBR)).toBe(0x6b);
    expect(irq.level).toBe(false);
  });

  test("each byte that arrives starts the four character times again", () => {
    const { write, peer, irq, host } = makeFifoUart();
    write(IER_AT, 0x01);
    peer.write(ascii("a"));
    host.advanceNs(FOUR_CHARACTERS_NS * 0.75);
    peer.write(ascii("b"));
    host.advanceNs(FOUR_CHARACTERS_NS * 0.75);
    expect(irq.level).toBe(false);
    host.advanceNs(FOUR_CHARACTERS_NS);
    expect(irq.level).toBe(true);
  });

  test("a slower line waits longer", () => {
    const { write, peer, irq, host } = makeFifoUart();
    write(LCR_AT, 0x83);
    write(0, 24);
    write(LCR_AT, 0x03);
    write(IER_AT, 0x01);
    peer.write(ascii("k"));
    host.advanceNs(FOUR_CHARACTERS_NS * 11);
    expect(irq.level).toBe(false);
    host.advanceNs(FOUR_CHARACTERS_NS * 2);
    expect(irq.level).toBe(true);
  });

  test("a guest that reads slowly gets every byte", () => {
    const { read, peer } = makeFifoUart();
    const text = "0123456789".repeat(30);
    peer.write(ascii(text));
    let got = "";
    while ((read(LSR_AT) & 1) !== 0) got += String.fromCharCode(read(RBR));
    expect(got).toBe(text);
    expect(read(LSR_AT) & 0x02).toBe(0);
  });

  test("reset by FCR empties them, and later input follows", () => {
    const { read, write, peer } = makeFifoUart();
    peer.write(ascii("0123456789abcdefXYZ"));
    write(FCR_AT, 0x83);
    expect(read(RBR)).toBe(0x58);
  });

  test("turning them off empties them", () => {
    const { read, write, peer } = makeFifoUart();
    peer.write(ascii("ab"));
    write(FCR_AT, 0x00);
    expect(read(LSR_AT) & 1).toBe(0);
    expect(read(IIR_AT)).toBe(0x01);
  });
});

describe("line status", () => {
  test("a break is a zero byte with its bit, after the bytes that came before", () => {
    const { read, write, peer, irq } = makeFifoUart();
    write(IER_AT, 0x04);
    peer.write(ascii("a"));
    peer.sendBreak();
    peer.write(ascii("h"));
    expect(irq.level).toBe(false);
    expect(read(LSR_AT)).toBe(0x80 | 0x60 | 0x01);
    expect(read(RBR)).toBe(0x61);
    expect(irq.level).toBe(true);
    expect(read(IIR_AT)).toBe(0xc6);
    expect(read(LSR_AT) & 0x11).toBe(0x11);
    expect(irq.level).toBe(false);
    expect([read(RBR), read(LSR_AT) & 0x91, read(RBR)]).toEqual([0, 0x01, 0x68]);
  });

  test("has priority over received data", () => {
    const { read, write, peer } = makeUart();
    write(IER_AT, 0x05);
    peer.sendBreak();
    expect(read(IIR_AT)).toBe(0x06);
    read(LSR_AT);
    expect(read(IIR_AT)).toBe(0x04);
  });

  test("an overrun in loopback is reported once and loses the newest byte", () => {
    const { read, write, send } = makeFifoUart();
    write(MCR_AT, 0x10);
    send("0123456789abcdefX");
    expect(read(LSR_AT) & 0x02).toBe(0x02);
    expect(read(LSR_AT) & 0x02).toBe(0);
    let got = "";
    while ((read(LSR_AT) & 1) !== 0) got += String.fromCharCode(read(RBR));
    expect(got).toBe("0123456789abcdef");
  });

  test("an overrun without FIFOs keeps the newest byte", () => {
    const { read, write, send } = makeUart();
    write(MCR_AT, 0x10);
    send("ab");
    expect([read(LSR_AT) & 0x03, read(RBR)]).toEqual([0x03, 0x62]);
  });
});

describe("modem control", () => {
  test("loopback joins outputs to inputs (Linux's existence test)", () => {
    const { read, write } = makeUart();
    write(MCR_AT, 0x1a);
    expect(read(MSR_AT) & 0xf0).toBe(0x90);
    write(MCR_AT, 0x15);
    expect(read(MSR_AT) & 0xf0).toBe(0x60);
    write(MCR_AT, 0x00);
    expect(read(MSR_AT) & 0xf0).toBe(0xb0);
  });

  test("changes of the lines are shown once", () => {
    const { read, write } = makeUart();
    write(MCR_AT, 0x1b);
    expect(read(MSR_AT)).toBe(0xb0);
    write(MCR_AT, 0x19);
    expect(read(MSR_AT)).toBe(0xa1);
    expect(read(MSR_AT)).toBe(0xa0);
  });

  test("the ring indicator shows its end only", () => {
    const { read, write } = makeUart();
    write(MCR_AT, 0x1f);
    expect(read(MSR_AT)).toBe(0xf0);
    write(MCR_AT, 0x1b);
    expect(read(MSR_AT)).toBe(0xb4);
  });

  test("a change interrupts, last of all, until MSR is read", () => {
    const { read, write, irq } = makeUart();
    write(IER_AT, 0x0a);
    write(MCR_AT, 0x1b);
    write(MCR_AT, 0x18);
    expect(read(IIR_AT)).toBe(0x02);
    expect(read(IIR_AT)).toBe(0x00);
    expect(irq.level).toBe(true);
    read(MSR_AT);
    expect(read(IIR_AT)).toBe(0x01);
    expect(irq.level).toBe(false);
  });

  test("in loopback nothing leaves and nothing comes in; input waits", () => {
    const { read, write, send, peer, uart } = makeFifoUart();
    write(MCR_AT, 0x10);
    send("x");
    peer.write(ascii("y"));
    uart.flush();
    expect(peer.read()).toHaveLength(0);
    expect(read(RBR)).toBe(0x78);
    expect(read(LSR_AT) & 1).toBe(0);
    write(MCR_AT, 0x00);
    expect(read(RBR)).toBe(0x79);
  });

  test("Linux counts a FIFO of 16 bytes", () => {
    const { read, write } = makeUart();
    write(FCR_AT, 0x07);
    write(MCR_AT, 0x10);
    write(LCR_AT, 0x80);
    write(0, 1);
    write(1, 0);
    write(LCR_AT, 0x03);
    for (let i = 0; i < 256; i++) write(THR, i);
    let count = 0;
    while ((read(LSR_AT) & 1) !== 0 && count < 256) {
      read(RBR);
      count++;
    }
    expect(count).toBe(16);
  });
});

test("reset forgets the registers but sends what was written", () => {
  const { uart, read, write, send, peer, irq, host } = makeFifoUart();
  write(IER_AT, 0x0f);
  write(MCR_AT, 0x0b);
  send("panic");
  peer.write(ascii("k"));
  uart.reset();
  expect(irq.level).toBe(false);
  expect([IER_AT, IIR_AT, LCR_AT, MCR_AT, LSR_AT].map(read)).toEqual([0, 1, 0, 0, 0x60]);
  host.advanceNs(0);
  expect(show(peer.read())).toBe("panic");
});

test("closing sends what was written and lets go of the back end", () => {
  const { uart, send, peer, read, host } = makeUart();
  send("bye");
  uart.close();
  expect(show(peer.read())).toBe("bye");
  peer.write(ascii("x"));
  expect(read(LSR_AT) & 1).toBe(0);
  expect(host.nextDeadlineNs).toBe(Infinity);
});

test("a loaded UART has the saved one's bytes, both ways, and its pending interrupts", () => {
  const from = makeFifoUart();
  from.write(IER_AT, 0x03);
  from.read(IIR_AT);
  from.send("out");
  from.read(IIR_AT);
  from.peer.write(ascii("in"));
  const to = makeUart();
  to.uart.loadState(from.uart.saveState());
  expect(to.irq.level).toBe(false);
  to.host.advanceNs(0);
  expect(show(to.peer.read())).toBe("out");
  to.host.advanceNs(FOUR_CHARACTERS_NS + 10);
  expect(to.read(IIR_AT)).toBe(0xcc);
  expect([to.read(RBR), to.read(RBR)]).toEqual([0x69, 0x6e]);
  const names = from.uart.stateDescription.fields.map((f) => f.name);
  expect(Object.keys(from.uart.saveState()).sort()).toEqual(names.sort());
});
