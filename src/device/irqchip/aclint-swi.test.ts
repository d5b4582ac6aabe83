import { describe, expect, test } from "vitest";
import { TestHost, TestLine } from "../test-host.ts";
import { AclintMswi, AclintSswi } from "./aclint-swi.ts";

function makeMswi() {
  const host = new TestHost();
  const harts = [new TestLine(), new TestLine()];
  const mswi = new AclintMswi({ harts, trace: host.trace });
  return { host, mswi, mmio: mswi.mmio, hart0: harts[0]!, hart1: harts[1]! };
}

describe("MSWI", () => {
  test("msip's lowest bit drives the hart's line", () => {
    const { mmio, hart0, hart1 } = makeMswi();
    mmio.write(0x4, 4, 1);
    expect(hart1.level).toBe(true);
    expect(hart0.level).toBe(false);
    mmio.write(0x4, 4, 0);
    expect(hart1.level).toBe(false);
  });

  test("msip keeps no other bit", () => {
    const { mmio } = makeMswi();
    mmio.write(0x0, 4, 0xffffffff);
    expect(mmio.read(0x0, 4)).toBe(1);
  });

  test("msip of a hart that does not exist reads 0 and is traced", () => {
    const { mmio, host } = makeMswi();
    mmio.write(0x8, 4, 1);
    expect(mmio.read(0x8, 4)).toBe(0);
    expect(host.guestErrors).toEqual(["mswi: write of 0x1 to offset 0x8", "mswi: read of offset 0x8"]);
  });

  test("its lines are low after a reset, and as saved after a load", () => {
    const from = makeMswi();
    from.mmio.write(0x4, 4, 1);
    const to = makeMswi();
    to.mswi.loadState(from.mswi.saveState());
    expect(to.hart1.level).toBe(true);
    to.mswi.reset();
    expect(to.hart1.level).toBe(false);
    expect(to.mmio.read(0x4, 4)).toBe(0);
  });
});

describe("SSWI", () => {
  test("writing 1 sends an edge to that hart, and nothing takes it back", () => {
    const host = new TestHost();
    const harts = [new TestLine(), new TestLine()];
    const { mmio } = new AclintSswi({ harts, trace: host.trace });
    mmio.write(0x4, 4, 0);
    expect(harts[1]!.risen).toBe(0);
    mmio.write(0x4, 4, 1);
    mmio.write(0x4, 4, 0);
    expect(harts.map((line) => line.level)).toEqual([false, true]);
    expect(mmio.read(0x4, 4)).toBe(0);
  });
});
