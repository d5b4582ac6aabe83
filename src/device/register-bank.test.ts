import { describe, expect, test } from "vitest";
import { bit, bits, getField, type TracePort } from "../base/index.ts";
import { describeState } from "../state/index.ts";
import { registerBank } from "./register-bank.ts";

interface Pulse {
  elapsed: number;
  log: string[];
  latched: boolean;
}

const bank = registerBank("pulse", 4, {
  ctl: { at: 0x0, reset: 1, fields: { run: bit(0), mode: bits(3, 1) } },
  count: { at: 0x4, access: "ro", read: (d: Pulse) => d.elapsed },
  status: {
    at: 0x8,
    access: "w1c",
    wrote: (d: Pulse, cleared, before) => d.log.push(`cleared ${cleared} of ${before}`),
  },
  kick: { at: 0xc, access: "wo", wrote: (d: Pulse, value) => d.log.push(`kick ${value}`) },
  divisor: { at: 0x10, when: (d: Pulse) => d.latched },
  data: { at: 0x10, since: 2, reset: 7 },
  lane: {
    at: 0x100,
    repeat: { rows: 3, strideBytes: 0x20, columns: 2 },
    mask: 0xff,
    wrote: (d: Pulse, value, _before, index) => d.log.push(`lane ${index} = ${value}`),
  },
});

function makePulse() {
  const errors: string[] = [];
  const trace: TracePort = { guestError: (source, message) => errors.push(`${source}: ${message}`) };
  const device: Pulse = { elapsed: 0, log: [], latched: false };
  const file = bank.file(device, trace);
  return { device, file, errors };
}

describe("register bank", () => {
  test("registers start at their reset values", () => {
    const { file } = makePulse();
    expect(file.read(0x0)).toBe(1);
    expect(file.read(0x10)).toBe(7);
  });

  test("bits outside the declared fields ignore writes", () => {
    const { file } = makePulse();
    file.write(0x0, 0xffffffff);
    expect(file.read(0x0)).toBe(0b1111);
  });

  test("a field is read by its declared place", () => {
    const { file } = makePulse();
    file.write(0x0, 0b1010);
    expect(getField(file.values.ctl, bank.fields.ctl.mode)).toBe(5);
  });

  test("a computed register asks the device", () => {
    const { device, file } = makePulse();
    device.elapsed = 0x80000001;
    expect(file.read(0x4)).toBe(0x80000001);
  });

  test("writing a read-only register changes nothing and is traced by name", () => {
    const { file, errors } = makePulse();
    file.write(0x4, 5);
    expect(file.read(0x4)).toBe(0);
    expect(errors).toEqual(["pulse: write of 0x5 to ro register count"]);
  });

  test("write-one-to-clear clears the written bits and tells which were set", () => {
    const { device, file } = makePulse();
    file.values.status = 0b1100;
    file.write(0x8, 0b0110);
    expect(file.read(0x8)).toBe(0b1000);
    expect(device.log).toEqual(["cleared 4 of 12"]);
  });

  test("a write-only register runs its hook and cannot be read", () => {
    const { device, file, errors } = makePulse();
    file.write(0xc, 9);
    expect(file.read(0xc)).toBe(0);
    expect(device.log).toEqual(["kick 9"]);
    expect(errors).toEqual(["pulse: read of wo register kick"]);
  });

  test("two registers at one offset are told apart by the device's state", () => {
    const { device, file } = makePulse();
    device.latched = true;
    file.write(0x10, 3);
    device.latched = false;
    expect(file.read(0x10)).toBe(7);
    expect(file.values.divisor).toBe(3);
  });

  test("a repeated register has its words at row strides", () => {
    const { device, file } = makePulse();
    file.write(0x124, 0x1ff);
    expect(file.read(0x124)).toBe(0xff);
    expect(Array.from(file.values.lane)).toEqual([0, 0, 0, 0xff, 0, 0]);
    expect(device.log).toEqual(["lane 3 = 255"]);
  });

  test("the gap after a row's words holds no register", () => {
    const { file, errors } = makePulse();
    expect(file.read(0x108)).toBe(0);
    expect(errors).toEqual(["pulse: read of rw register lane"]);
  });

  test("an offset without a register reads 0, ignores writes and is traced", () => {
    const { file, errors } = makePulse();
    expect(file.read(0x80)).toBe(0);
    file.write(0x80, 0x10);
    expect(errors).toEqual(["pulse: read of offset 0x80", "pulse: write of 0x10 to offset 0x80"]);
  });

  test("saved registers come back", () => {
    const { file } = makePulse();
    file.write(0x0, 6);
    file.write(0x144, 2);
    const other = makePulse().file;
    other.load(file.save());
    expect(other.save()).toEqual(file.save());
    expect(other.read(0x0)).toBe(6);
    expect(other.read(0x144)).toBe(2);
  });

  test("state fields are the registers that hold something", () => {
    const state = describeState("pulse", 2, [...bank.stateFields]);
    expect(state.fields.map((f) => [f.name, f.type.kind, f.since])).toEqual([
      ["ctl", "u32", 1],
      ["status", "u32", 1],
      ["divisor", "u32", 1],
      ["data", "u32", 2],
      ["lane", "list", 1],
    ]);
    expect(state.fields[3]?.default).toBe(7);
  });

  test("the handler takes the register's width only", () => {
    const { file } = makePulse();
    const mmio = file.mmio({ min: 4, max: 4 });
    mmio.write(0x0, 4, 3);
    expect(mmio.read(0x0, 4)).toBe(3);
    expect(mmio.impl).toEqual({ min: 4, max: 4 });
    expect(mmio.valid).toEqual({ min: 4, max: 4 });
  });

  test("introspection lists registers with their fields", () => {
    expect(bank.describe()[0]).toEqual({
      name: "ctl",
      at: 0,
      access: "rw",
      reset: 1,
      words: 1,
      fields: [
        { name: "run", low: 0, widthBits: 1, mask: 1 },
        { name: "mode", low: 1, widthBits: 3, mask: 14 },
      ],
    });
  });
});
