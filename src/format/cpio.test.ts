import { mkdirSync, writeFileSync, linkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { has, inFolder, run } from "../../test/support/tools.ts";
import { type CpioInput, readCpio, writeCpio } from "./cpio.ts";
import { decodeText, encodeText } from "./text.ts";

const tree: CpioInput[] = [
  { path: "dev", type: "directory" },
  { path: "dev/console", type: "characterDevice", mode: 0o600, device: { major: 5, minor: 1 } },
  { path: "bin", type: "symlink", linkTarget: "usr/bin", mode: 0o777 },
  { path: "init", type: "file", mode: 0o755, content: encodeText("#!/bin/sh\n"), mtimeS: 1700000000 },
];

describe("writeCpio and readCpio", () => {
  test("keep types, modes, devices, link targets and contents", () => {
    const entries = readCpio(writeCpio(tree));
    expect(entries.map((e) => [e.path, e.type, e.mode])).toEqual([
      ["dev", "directory", 0o755],
      ["dev/console", "characterDevice", 0o600],
      ["bin", "symlink", 0o777],
      ["init", "file", 0o755],
    ]);
    expect(entries[1]?.device).toEqual({ major: 5, minor: 1 });
    expect(entries[2]?.linkTarget).toBe("usr/bin");
    expect(decodeText(entries[3]!.content)).toBe("#!/bin/sh\n");
    expect(entries[3]?.mtimeS).toBe(1700000000);
  });
  test("give the same bytes for the same tree", () => {
    expect(writeCpio(tree)).toEqual(writeCpio(tree));
    expect(writeCpio(tree).length % 512).toBe(0);
  });
  test("refuse what is no cpio archive, and one without a trailer", () => {
    expect(() => readCpio(new Uint8Array(200))).toThrow("no cpio archive");
    expect(() => readCpio(writeCpio(tree).slice(0, 200))).toThrow("announces");
  });
  test("answer damaged files with FormatError and nothing else", () => {
    expectOnlyFormatErrors(readCpio, writeCpio(tree));
  });
});

describe.skipIf(!has("cpio"))("with GNU cpio (skipped where cpio is not installed)", () => {
  test("it lists what we write", () => {
    const listing = run("cpio", ["-itv", "--quiet", "--numeric-uid-gid"], { input: writeCpio(tree) });
    const lines = listing.toString().trim().split("\n");
    expect(lines[0]).toMatch(/^drwxr-xr-x .* dev$/);
    expect(lines[1]).toMatch(/^crw------- .* 5, +1 .* dev\/console$/);
    expect(lines[2]).toMatch(/^lrwxrwxrwx .* bin -> usr\/bin$/);
    expect(lines[3]).toMatch(/^-rwxr-xr-x .* init$/);
  });
  test("we read what it writes, with a hard link's content under both names", () => {
    inFolder((folder) => {
      mkdirSync(join(folder, "in"));
      writeFileSync(join(folder, "in", "a"), "content");
      linkSync(join(folder, "in", "a"), join(folder, "in", "b"));
      const archive = run("cpio", ["-o", "-H", "newc", "--quiet"], {
        cwd: join(folder, "in"),
        input: Buffer.from("a\nb\n"),
      });
      expect(readCpio(archive).map((e) => [e.path, e.type, decodeText(e.content)])).toEqual([
        ["a", "file", "content"],
        ["b", "file", "content"],
      ]);
    });
  });
});
