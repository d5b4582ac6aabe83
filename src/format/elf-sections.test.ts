import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { viewOf } from "../base/index.ts";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { has, inFolder } from "../../test/support/tools.ts";
import { elfSection, readModuleInfo, readNeededLibraries } from "./elf-sections.ts";
import { concatBytes, decodeText, encodeText } from "./text.ts";

/** An ELF64 file of the given sections, names table first. */
function withSections(sections: Record<string, Uint8Array>): Uint8Array {
  const all = { ".names": encodeText(["", ".names", ...Object.keys(sections), ""].join("\0")), ...sections };
  const names = decodeText(all[".names"]);
  const head = new Uint8Array(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  viewOf(head).setBigUint64(40, 64n, true);
  viewOf(head).setUint16(58, 64, true);
  viewOf(head).setUint16(60, Object.keys(all).length, true);
  let at = 64 + Object.keys(all).length * 64;
  const table = Object.entries(all).map(([name, bytes]) => {
    const header = new Uint8Array(64);
    viewOf(header).setUint32(0, names.indexOf(`\0${name}\0`) + 1, true);
    viewOf(header).setUint32(4, 1, true);
    viewOf(header).setBigUint64(24, BigInt(at), true);
    viewOf(header).setBigUint64(32, BigInt(bytes.length), true);
    at += bytes.length;
    return header;
  });
  return concatBytes([head, ...table, ...Object.values(all)]);
}

const dynamic = new Uint8Array(32);
viewOf(dynamic).setBigUint64(0, 1n, true);
viewOf(dynamic).setBigUint64(8, 1n, true);
const file = withSections({
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
    expect(readNeededLibraries(withSections({}))).toEqual([]);
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
