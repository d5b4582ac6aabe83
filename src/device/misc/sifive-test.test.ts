import { expect, test } from "vitest";
import { SifiveTest, type Finish } from "./sifive-test.ts";
import { TestHost } from "../test-host.ts";

function makeFinisher() {
  const host = new TestHost();
  const finishes: Finish[] = [];
  const { mmio } = new SifiveTest({ finish: (finish) => finishes.push(finish), trace: host.trace });
  return { host, finishes, mmio };
}

test("0x5555 passes", () => {
  const { mmio, finishes } = makeFinisher();
  mmio.write(0, 4, 0x5555);
  expect(finishes).toEqual([{ kind: "pass" }]);
});

test("0x7777 resets, as a halfword too", () => {
  const { mmio, finishes } = makeFinisher();
  mmio.write(0, 2, 0x7777);
  expect(finishes).toEqual([{ kind: "reset" }]);
});

test("0x3333 fails with the code in the high half", () => {
  const { mmio, finishes } = makeFinisher();
  mmio.write(0, 4, 0xfffe3333);
  expect(finishes).toEqual([{ kind: "fail", code: 0xfffe }]);
});

test("any other value, or another offset, is traced and changes nothing", () => {
  const { mmio, finishes, host } = makeFinisher();
  mmio.write(0, 4, 0x1234);
  mmio.write(8, 4, 0x5555);
  expect(finishes).toEqual([]);
  expect(host.guestErrors).toEqual([
    "sifive_test: write of FinisherCommand(4660) to offset 0x0",
    "sifive_test: write of pass to offset 0x8",
  ]);
});

test("reads as 0, and takes halfwords and words", () => {
  const { mmio } = makeFinisher();
  expect(mmio.read(0, 4)).toBe(0);
  expect(mmio.valid).toEqual({ min: 2, max: 4 });
});
