import { expect, test } from "vitest";
import { parseArguments } from "./arguments.ts";

const spec = { memory: "text", drive: "list", refresh: "flag" } as const;

test("values may be joined or apart, lists gather, and -- ends our own options", () => {
  const args = parseArguments(["debian", "--memory=1G", "--drive", "a", "--drive", "b", "--", "-m", "2G"], spec);
  expect(args.words).toEqual(["debian"]);
  expect(args.text("memory")).toBe("1G");
  expect(args.list("drive")).toEqual(["a", "b"]);
  expect(args.flag("refresh")).toBe(false);
  expect(args.rest).toEqual(["-m", "2G"]);
});

test.each([
  ["--memroy", "did you mean --memory?"],
  ["--xyzzy", "--help lists the options"],
  ["-m", "QEMU's options go after --"],
  ["--memory", "requires a value"],
  ["--refresh=yes", "takes no value"],
  ["--toString", "invalid option"],
])("%s is refused", (word, expected) => {
  expect(() => parseArguments([word], spec)).toThrow(expected);
});
