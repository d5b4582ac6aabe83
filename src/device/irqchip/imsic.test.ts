import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { TestHost, TestLine } from "../test-host.ts";
import { Imsic } from "./imsic.ts";

const SETEIPNUM_LE = 0;
const SETEIPNUM_BE = 4;
const EIDELIVERY = 0x70;
const EITHRESHOLD = 0x72;
const EIP0 = 0x80;
const EIE0 = 0xc0;

function makeImsic() {
  const host = new TestHost();
  const line = new TestLine();
  const imsic = new Imsic({ identityCount: 255, irq: line, trace: host.trace });
  return { host, line, imsic, send: (identity: number): void => void imsic.mmio.write(SETEIPNUM_LE, 4, identity) };
}

/** Everything is enabled and delivered. */
function makeEnabled() {
  const made = makeImsic();
  for (let k = 0; k < 8; k += 2) made.imsic.writeRegister(EIE0 + k, 0xffff_ffff_ffff_ffffn);
  made.imsic.writeRegister(EIDELIVERY, 1n);
  return made;
}

describe("messages", () => {
  test("a message makes its identity pending", () => {
    const { imsic, send } = makeImsic();
    send(70);
    expect(imsic.readRegister(EIP0 + 2)).toBe(1n << 6n);
  });

  test("the big-endian port takes the identity with its bytes swapped", () => {
    const { imsic } = makeImsic();
    imsic.mmio.write(SETEIPNUM_BE, 4, 0x0500_0000);
    expect(imsic.readRegister(EIP0)).toBe(1n << 5n);
  });

  test("identities 0 and past the last one are ignored", () => {
    const { imsic, send } = makeImsic();
    send(0);
    send(256);
    send(0x1_0001);
    expect([0, 2, 4, 6, 8].map((k) => imsic.readRegister(EIP0 + k))).toEqual([0n, 0n, 0n, 0n, 0n]);
  });

  test("the ports read 0", () => {
    const { imsic, send } = makeImsic();
    send(3);
    expect(imsic.mmio.read(SETEIPNUM_LE, 4)).toBe(0);
    expect(imsic.mmio.read(SETEIPNUM_BE, 4)).toBe(0);
  });
});

describe("delivery", () => {
  test("interrupts when a pending identity is enabled and delivery is on", () => {
    const { imsic, line, send } = makeImsic();
    send(9);
    imsic.writeRegister(EIE0, 1n << 9n);
    expect(line.level).toBe(false);
    imsic.writeRegister(EIDELIVERY, 1n);
    expect(line.level).toBe(true);
    expect(imsic.top).toBe(9);
  });

  test("the lowest identity comes first, and claiming it shows the next", () => {
    const { imsic, line, send } = makeEnabled();
    send(200);
    send(33);
    expect(imsic.top).toBe(33);
    imsic.claim();
    expect(imsic.top).toBe(200);
    expect(line.level).toBe(true);
    imsic.claim();
    expect(imsic.top).toBe(0);
    expect(line.level).toBe(false);
  });

  test("identities at or above the threshold do not interrupt, and cannot be claimed", () => {
    const { imsic, line, send } = makeEnabled();
    imsic.writeRegister(EITHRESHOLD, 33n);
    send(33);
    expect(line.level).toBe(false);
    imsic.claim();
    send(32);
    expect(line.level).toBe(true);
    expect(imsic.top).toBe(32);
    imsic.writeRegister(EITHRESHOLD, 0n);
    imsic.claim();
    expect(imsic.top).toBe(33);
  });

  test("topei shows what is pending and enabled while delivery is off", () => {
    const { imsic, line, send } = makeEnabled();
    imsic.writeRegister(EIDELIVERY, 0n);
    send(4);
    expect(imsic.top).toBe(4);
    expect(line.level).toBe(false);
  });
});

describe("indirect registers at XLEN 64", () => {
  test("odd halves of the arrays do not exist", () => {
    const { imsic } = makeImsic();
    expect(imsic.readRegister(EIP0 + 1)).toBeUndefined();
    expect(imsic.readRegister(EIE0 + 63)).toBeUndefined();
  });

  test("bit 0 and identities that do not exist stay 0", () => {
    const { imsic } = makeImsic();
    imsic.writeRegister(EIP0, 0xffff_ffff_ffff_ffffn);
    imsic.writeRegister(EIE0 + 8, 0xffff_ffff_ffff_ffffn);
    expect(imsic.readRegister(EIP0)).toBe(0xffff_ffff_ffff_fffen);
    expect(imsic.readRegister(EIE0 + 8)).toBe(0n);
  });

  test("reserved registers read 0 and ignore writes", () => {
    const { imsic } = makeImsic();
    imsic.writeRegister(0x71, 5n);
    imsic.writeRegister(0x7f, 5n);
    expect(imsic.readRegister(0x71)).toBe(0n);
    expect(imsic.readRegister(0x7f)).toBe(0n);
  });

  test("delivery is off or on, and the threshold has the width of an identity", () => {
    const { imsic } = makeImsic();
    imsic.writeRegister(EIDELIVERY, 0x4000_0001n);
    imsic.writeRegister(EITHRESHOLD, 0xffff_ffff_ffff_ffffn);
    expect(imsic.readRegister(EIDELIVERY)).toBe(1n);
    expect(imsic.readRegister(EITHRESHOLD)).toBe(0x7ffn);
  });
});

test("a loaded file continues where the saved one was; a reset forgets it all", () => {
  const from = makeEnabled();
  from.send(12);
  const to = makeImsic();
  to.imsic.loadState(from.imsic.saveState());
  expect(to.line.level).toBe(true);
  expect(to.imsic.top).toBe(12);
  to.imsic.reset();
  expect(to.line.level).toBe(false);
  expect(to.imsic.saveState()).toEqual(makeImsic().imsic.saveState());
});

test("messages come out in order of identity, each once, whatever the order they came in", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 255 })), (identities) => {
      const { imsic, send } = makeEnabled();
      identities.forEach(send);
      const claimed: number[] = [];
      for (; imsic.top !== 0; imsic.claim()) claimed.push(imsic.top);
      expect(claimed).toEqual([...new Set(identities)].sort((a, b) => a - b));
    }),
  );
});
