import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { viewOf } from "../base/index.ts";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { makeElf } from "../../test/support/packages.ts";
import { has, inFolder } from "../../test/support/tools.ts";
import { elfSection, readModuleInfo, readNeededLibraries } from "./elf-sections.ts";
import { decodeText, encodeText } from "./text.ts";

const dynamic = new Uint8Array(32);
viewOf(dynamic).setBigUint64(0, 1n, true);
viewOf(dynamic).setBigUint64(8, 1n, true);
const file = makeElf({
  ".modinfo": encodeText("depends=jbd2,mbcache\0alias=fs-ext4\0alias=fs-ext3\0noise\0"),
  ".dynamic": dynamic,
  ".dynstr": encodeText("\0libc.so.6\0"),
});

describe("sections of an ELF file", () => {
  test("are found by name", () => {
    expect(decodeText(elfSection(file, ".dynstr")!)).toBe("\0libc.so.6\0");
    expect(elfSection(file, ".none")).toBeUndefined();
  });
  test("hold a kernel module's description", () => {
    expect(readModuleInfo(file)).toEqual(
      new Map([
        ["depends", ["jbd2,mbcache"]],
        ["alias", ["fs-ext4", "fs-ext3"]],
      ]),
    );
  });
  test("name the libraries that a program needs", () => {
    expect(readNeededLibraries(file)).toEqual(["libc.so.6"]);
    expect(readNeededLibraries(makeElf({}))).toEqual([]);
  });
  test("answer damaged files with FormatError and nothing else", () => {
    expectOnlyFormatErrors(readModuleInfo, file);
    expectOnlyFormatErrors(readNeededLibraries, file);
  });
  test.skipIf(!has("cc"))("are read from what the system's compiler links (skipped where cc is not installed)", () => {
    inFolder((folder) => {
      execFileSync("cc", ["-x", "c", "-", "-o", join(folder, "a.out")], { input: "int main(void) { return 0; }" });
      expect(readNeededLibraries(readFileSync(join(folder, "a.out")))).toContain("libc.so.6");
    });
  });
});
