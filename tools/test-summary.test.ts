import { expect, test } from "vitest";
import { skipLines } from "./test-summary.ts";

test("a skipped test is named, its title being the reason", () => {
  expect(skipLines([{ name: "fdt > with dtc (skipped where dtc is not installed)", note: undefined }])).toEqual([
    "skipped: fdt > with dtc (skipped where dtc is not installed)",
  ]);
});

test("tests of one group with one reason are one line", () => {
  expect(
    skipLines([
      { name: "qemu > boots", note: "qemu-system-riscv64 is not installed" },
      { name: "qemu > stops", note: "qemu-system-riscv64 is not installed" },
    ]),
  ).toEqual(["skipped (2 tests): qemu: qemu-system-riscv64 is not installed"]);
});
