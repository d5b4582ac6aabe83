import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writePidFile } from "./pid-file.ts";
import { readWholeFile } from "./read-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ratite-files-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("whole files", () => {
  test("bytes and name come back", () => {
    const path = join(folder, "kernel");
    writeFileSync(path, "MZ");
    expect(readWholeFile(path)).toEqual({ name: path, bytes: Uint8Array.of(0x4d, 0x5a) });
  });

  test("a missing file, a folder, an empty file and a device are told apart", () => {
    const empty = join(folder, "empty");
    writeFileSync(empty, "");
    expect(() => readWholeFile(join(folder, "x"))).toThrow(": No such file or directory");
    expect(() => readWholeFile(folder)).toThrow(": Is a directory");
    expect(() => readWholeFile(empty)).toThrow(": The file is empty");
    expect(() => readWholeFile("/dev/zero")).toThrow(": Is a device; a file would do");
  });
});

describe("pid file", () => {
  test("it holds this process's number until it is removed", () => {
    const path = join(folder, "pid");
    const { remove } = writePidFile(path);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    remove();
    remove();
    expect(existsSync(path)).toBe(false);
  });

  test("a file that names a live process is refused", () => {
    const path = join(folder, "pid");
    writeFileSync(path, `${process.ppid}\n`);
    expect(() => writePidFile(path)).toThrow(`process ${process.ppid}, which it names, is running`);
    expect(readFileSync(path, "utf8")).toBe(`${process.ppid}\n`);
  });

  test("a stale file is taken over", () => {
    const path = join(folder, "pid");
    writeFileSync(path, "2147483646\n");
    writePidFile(path).remove();
    expect(existsSync(path)).toBe(false);
  });

  test("a folder that does not exist is a typed error", () => {
    expect(() => writePidFile(join(folder, "no", "pid"))).toThrow("No such file or directory");
  });
});
