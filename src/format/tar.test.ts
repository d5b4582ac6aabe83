import { mkdirSync, readFileSync, symlinkSync, writeFileSync, linkSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { has, inFolder, run } from "../../test/support/tools.ts";
import { readTar } from "./tar.ts";
import { concatBytes } from "../base/index.ts";
import { decodeText, encodeText } from "./text.ts";

interface Member {
  path: string;
  type?: string;
  content?: string;
  link?: string;
  prefix?: string;
  size?: number[];
}

function member({ path, type = "0", content = "", link = "", prefix = "", size }: Member): Uint8Array {
  const block = new Uint8Array(512 + Math.ceil(content.length / 512) * 512);
  const put = (text: string, at: number): void => block.set(encodeText(text), at);
  put(path, 0);
  put("0000755\0", 100);
  put("0000001\0", 108);
  put("0000002\0", 116);
  put(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  if (size !== undefined) block.set(size, 124);
  put("00000000017\0", 136);
  put("        ", 148);
  put(type, 156);
  put(link, 157);
  put("ustar\x0000", 257);
  put(prefix, 345);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  put(content, 512);
  return block;
}
function archive(...members: Member[]): Uint8Array {
  return concatBytes([...members.map(member), new Uint8Array(1024)]);
}
function summary(bytes: Uint8Array): unknown[] {
  return [...readTar(bytes)].map((e) => [e.type, e.path, e.linkTarget || decodeText(e.content)]);
}
const pax = (key: string, value: string): string => {
  const body = ` ${key}=${value}\n`;
  const length = `${body.length + 2}`.length + body.length;
  return `${length}${body}`;
};

describe("readTar", () => {
  test("gives files, directories and links with clean paths", () => {
    const bytes = archive(
      { path: "./usr/", type: "5" },
      { path: "./usr/a", content: "hello" },
      { path: "./usr/b", type: "2", link: "../x" },
      { path: "./usr/c", type: "1", link: "./usr/a" },
    );
    expect(summary(bytes)).toEqual([
      ["directory", "usr", ""],
      ["file", "usr/a", "hello"],
      ["symlink", "usr/b", "../x"],
      ["hardlink", "usr/c", "usr/a"],
    ]);
  });
  test("gives mode, owner and time", () => {
    expect([...readTar(archive({ path: "a" }))][0]).toMatchObject({ mode: 0o755, uid: 1, gid: 2, mtimeS: 15 });
  });
  test("joins the ustar prefix", () => {
    expect(summary(archive({ path: "b", prefix: "long/folder" }))).toEqual([["file", "long/folder/b", ""]]);
  });
  test("takes GNU long names and link targets", () => {
    const long = "d/".repeat(80);
    const bytes = archive(
      { path: "././@LongLink", type: "L", content: `${long}f\0` },
      { path: "././@LongLink", type: "K", content: `${long}t\0` },
      { path: "short", type: "2", link: "short" },
      { path: "next" },
    );
    expect(summary(bytes)).toEqual([
      ["symlink", `${long}f`, `${long}t`],
      ["file", "next", ""],
    ]);
  });
  test("takes pax paths, and sizes that the header cannot hold", () => {
    const bytes = archive(
      { path: "pax", type: "x", content: pax("path", "real/name") + pax("size", "5") + pax("mtime", "1.5") },
      { path: "short", content: "12345" },
    );
    expect(summary(bytes)).toEqual([["file", "real/name", "12345"]]);
  });
  test("takes a size in base 256", () => {
    const size = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    expect(summary(archive({ path: "a", content: "abc", size }))).toEqual([["file", "a", "abc"]]);
  });
  test("refuses a path that leaves the tree", () => {
    expect(() => summary(archive({ path: "a/../../etc/passwd" }))).toThrow("leaves its tree");
  });
  test("refuses a pax record that says it is longer than its header", () => {
    expect(() => summary(archive({ path: "pax", type: "x", content: "99 path=a\n" }, { path: "b" }))).toThrow(
      "pax record",
    );
  });
  test("refuses an entry type that no file tree has, by name", () => {
    expect(() => summary(archive({ path: "sparse", type: "S" }))).toThrow('entry "sparse" of type "S"');
  });
  test("refuses a header whose checksum is wrong", () => {
    const bytes = archive({ path: "a" });
    bytes[0] = 0x62;
    expect(() => summary(bytes)).toThrow("no valid entry header at 0");
  });
  test("answers damaged files with FormatError and nothing else", () => {
    const bytes = archive({ path: "p", type: "x", content: pax("path", "r") }, { path: "a", content: "x" });
    expectOnlyFormatErrors((file) => [...readTar(file)], bytes);
  });

  for (const format of ["gnu", "pax", "ustar"]) {
    test.skipIf(!has("tar"))(`reads what tar writes as ${format} (skipped where tar is not installed)`, () => {
      inFolder((folder) => {
        const deep = format === "ustar" ? "deep" : "deep".repeat(40);
        mkdirSync(join(folder, "in", deep), { recursive: true });
        writeFileSync(join(folder, "in", deep, "file"), "content");
        chmodSync(join(folder, "in", deep, "file"), 0o640);
        linkSync(join(folder, "in", deep, "file"), join(folder, "in", deep, "same"));
        symlinkSync("file", join(folder, "in", deep, "to"));
        run("tar", [`--format=${format}`, "--sort=name", "-cf", "out.tar", "-C", "in", "."], { cwd: folder });
        const bytes = readFileSync(join(folder, "out.tar"));
        expect(summary(bytes)).toEqual([
          ["directory", "", ""],
          ["directory", deep, ""],
          ["file", `${deep}/file`, "content"],
          ["hardlink", `${deep}/same`, `${deep}/file`],
          ["symlink", `${deep}/to`, "file"],
        ]);
        expect([...readTar(bytes)][2]?.mode).toBe(0o640);
      });
    });
  }
});
