// The serial device by itself, on a bus whose memory is one run of bytes.
import { describe, expect, test } from "vitest";
import type { PciPorts } from "../pci/index.ts";
import { TestBus } from "../pci/test-function.ts";
import { decodeState, encodeState } from "../../state/index.ts";
import { MdevSerial } from "./device.ts";
import { Cause, DMA_BAR, Register as R, Status, UART_BAR } from "./spec.ts";

function serial() {
  const bus = new TestBus();
  const ports: PciPorts = { intx: bus.intx, msi: bus.msi, dma: bus.dma, trace: bus.trace };
  const device = new MdevSerial({ name: "s", timers: bus.host.timers, ports });
  device.reset();
  device.pci.config.write(4, 2, 7);
  const bar = device.pci.bar(DMA_BAR)!;
  const uart = device.pci.bar(UART_BAR)!;
  return {
    bus,
    device,
    set: (at: number, value: number) => void bar.write(at, 4, value, 0),
    get: (at: number) => (bar.read(at, 4), bar.low),
    uartSet: (at: number, value: number) => void uart.write(at, 1, value, 0),
    uartGet: (at: number) => (uart.read(at, 1), uart.low),
    run: (ns = 1e6) => bus.host.advanceNs(ns),
  };
}

const TURN_NS = 25_600;

type Serial = ReturnType<typeof serial>;

/** Sends memory from 0x1000 and receives to 0x2000. */
function loop(s: Serial, lengthBytes: number, bufferBytes = lengthBytes): void {
  s.set(R.receiveLow, 0x2000);
  s.set(R.receiveLength, bufferBytes);
  s.set(R.receive, 1);
  s.set(R.sendLow, 0x1000);
  s.set(R.sendLength, lengthBytes);
  s.set(R.send, 1);
}

describe("the serial device", () => {
  test("what is sent from memory arrives in the buffer, a little each turn", () => {
    const s = serial();
    s.bus.memory.set(
      Uint8Array.from({ length: 1000 }, (_, i) => i),
      0x1000,
    );
    s.set(R.interruptEnable, Cause.sent | Cause.received);
    loop(s, 1000);
    expect(s.get(R.status)).toBe(Status.sending.mask | Status.receiving.mask);
    s.run(1);
    expect(s.get(R.received)).toBe(256);
    expect(s.bus.intx.level).toBe(true);
    s.run();
    expect(s.get(R.received)).toBe(1000);
    expect(s.get(R.status)).toBe(0);
    expect(s.bus.memory.subarray(0x2000, 0x23e8)).toEqual(s.bus.memory.subarray(0x1000, 0x13e8));
    expect(s.get(R.interruptStatus)).toBe(Cause.sent | Cause.received);
    s.set(R.interruptStatus, 7);
    expect(s.bus.intx.level).toBe(false);
  });

  test("a full buffer ends receiving: what is left goes to the UART, as it has room", () => {
    const s = serial();
    s.bus.memory.set([1, 2, 3, 4, 5, 6], 0x1000);
    loop(s, 6, 4);
    s.run();
    expect(s.get(R.received)).toBe(4);
    expect([s.uartGet(0), s.uartGet(5) & 1]).toEqual([5, 0]);
    s.run();
    expect([s.uartGet(5) & 1, s.uartGet(0)]).toEqual([1, 6]);
  });

  test("what the UART sends comes back to it, and can interrupt", () => {
    const s = serial();
    s.uartSet(1, 1);
    s.uartSet(0, 0x41);
    s.run();
    expect(s.bus.intx.level).toBe(true);
    expect([s.uartGet(5) & 1, s.uartGet(0)]).toEqual([1, 0x41]);
    expect(s.bus.intx.level).toBe(false);
  });

  test("memory that does not answer is a fault with its address", () => {
    const s = serial();
    s.set(R.interruptEnable, Cause.fault);
    s.set(R.sendHigh, 1);
    s.set(R.sendLength, 8);
    s.set(R.send, 1);
    s.run();
    expect([s.get(R.status), s.get(R.faultHigh), s.bus.intx.level]).toEqual([Status.fault.mask, 1, true]);
  });

  test("buffers that software shortens while they are used end there", () => {
    const s = serial();
    loop(s, 2000);
    s.run(1);
    s.set(R.receiveLength, 10);
    s.run(TURN_NS);
    expect([s.get(R.status), s.get(R.received)]).toEqual([Status.sending.mask, 256]);
    s.set(R.sendLength, 10);
    s.run(TURN_NS);
    expect(s.get(R.status)).toBe(0);
  });

  test("quiet, it stands still; its state goes on elsewhere", () => {
    const s = serial();
    s.bus.memory.fill(7, 0x1000, 0x1400);
    loop(s, 1024);
    s.run(1);
    s.device.setActivity("stopped");
    s.run();
    expect(s.get(R.received)).toBe(256);
    const t = serial();
    t.device.setActivity("stopped");
    t.bus.memory.set(s.bus.memory);
    t.device.loadState(decodeState(t.device.stateDescription, encodeState(s.device)));
    t.run();
    expect(t.get(R.received)).toBe(256);
    t.device.setActivity("running");
    t.run();
    expect(t.get(R.received)).toBe(1024);
    expect(t.bus.memory.subarray(0x2000, 0x2400).every((byte) => byte === 7)).toBe(true);
  });

  test("reset empties the line", () => {
    const s = serial();
    loop(s, 1024);
    s.run(1);
    s.device.reset();
    s.run();
    expect([s.get(R.status), s.get(R.received), s.uartGet(5) & 1]).toEqual([0, 0, 0]);
  });
});
