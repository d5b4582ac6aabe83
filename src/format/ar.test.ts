import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { has, inFolder, run } from "../../test/support/tools.ts";
import { readAr } from "./ar.ts";
import { decodeText, encodeText } from "./text.ts";

function header(name: string, size: string): string {
  return `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${size.padEnd(10)}\`\n`;
}
const archive = encodeText(
  `!<arch>\n${header("debian-binary", "4")}2.0\n${header("odd/", "3")}abc\n${header("last", "2")}xy`,
);

describe("readAr", () => {
  test("gives every member, past the padding of odd ones", () => {
    const members = readAr(archive).map(({ name, content }) => [name, decodeText(content)]);
    expect(members).toEqual([
      ["debian-binary", "2.0\n"],
      ["odd", "abc"],
      ["last", "xy"],
    ]);
  });
  test("refuses a file that is no archive", () => {
    expect(() => readAr(encodeText("!<arkh>\n"))).toThrow('begin with "!<arch>"');
  });
  test("refuses a size that is no number", () => {
    expect(() => readAr(encodeText(`!<arch>\n${header("a", "1x")}`))).toThrow('member "a" has a size of "1x"');
  });
  test("refuses a member longer than the file", () => {
    expect(() => readAr(encodeText(`!<arch>\n${header("a", "100")}abc`))).toThrow('announces 100 bytes of member "a"');
  });
  test("answers damaged files with FormatError and nothing else", () => {
    expectOnlyFormatErrors(readAr, archive);
  });
  test.skipIf(!has("ar"))("reads what ar writes (skipped where ar is not installed)", () => {
    inFolder((folder) => {
      writeFileSync(join(folder, "one"), "first");
      writeFileSync(join(folder, "two"), "second!");
      run("ar", ["qcS", "both.a", "one", "two"], { cwd: folder });
      const members = readAr(readFileSync(join(folder, "both.a")));
      expect(members.map(({ name, content }) => [name, decodeText(content)])).toEqual([
        ["one", "first"],
        ["two", "second!"],
      ]);
    });
  });
});
