import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { has, run } from "../../../test/support/tools.ts";
import { FormatError } from "../../format/index.ts";
import { nodeDecompress } from "./decompress.ts";

const text = "All work and no play makes a dull emulator. ".repeat(5_000);
const plain = new TextEncoder().encode(text);
const limit = { maxBytes: plain.length };
const port = nodeDecompress();
const withPackages = nodeDecompress({ useBuiltInZstd: false });

const families = [
  { name: "gzip", present: true, packed: () => gzipSync(plain), unpack: port.gunzip },
  { name: "xz", present: has("xz"), packed: () => run("xz", ["-c", "-T1"], { input: plain }), unpack: port.unxz },
  {
    name: "zstd with fzstd",
    present: has("zstd"),
    packed: () => run("zstd", ["-c", "-q"], { input: plain }),
    unpack: withPackages.unzstd,
  },
  {
    name: "zstd",
    present: has("zstd"),
    packed: () => run("zstd", ["-c", "-q"], { input: plain }),
    unpack: port.unzstd,
  },
];

for (const { name, present, packed, unpack } of families) {
  describe.skipIf(!present)(`${name} (skipped where its tool is not installed)`, () => {
    test("gives back what was packed", async () => {
      expect(Buffer.compare(await unpack(packed(), limit), plain)).toBe(0);
    });
    test("refuses a result past its bound", async () => {
      await expect(unpack(packed(), { maxBytes: plain.length - 1 })).rejects.toMatchObject({ code: "tooLarge" });
    });
    test("answers every truncation with FormatError, and goes on working", async () => {
      const file = packed();
      for (const part of [0, 1, 5, 12, 13, 40, file.length >> 1, file.length - 1]) {
        await expect(unpack(file.subarray(0, part), limit)).rejects.toBeInstanceOf(FormatError);
      }
      expect((await unpack(file, limit)).length).toBe(plain.length);
    });
    test("answers damage with FormatError or a result, and goes on working", async () => {
      const file = packed();
      for (let at = 0; at < file.length; at += Math.ceil(file.length / 60)) {
        const damaged = Uint8Array.from(file);
        damaged[at] = damaged[at]! ^ 0x55;
        const outcome = await unpack(damaged, { maxBytes: 2 * plain.length }).catch((error: unknown) => error);
        expect(outcome instanceof Uint8Array || outcome instanceof FormatError).toBe(true);
      }
      expect((await unpack(file, limit)).length).toBe(plain.length);
    });
  });
}

describe("without the optional packages", () => {
  const bare = nodeDecompress({ load: () => Promise.reject(new Error("not found")), useBuiltInZstd: false });
  test("xz names the package that would do", async () => {
    await expect(bare.unxz(plain, limit)).rejects.toThrow('"npm install xz-decompress" would do');
  });
  test("zstd names the package and the Node version that would do", async () => {
    await expect(bare.unzstd(plain, limit)).rejects.toThrow('"npm install fzstd" or Node 24 would do');
  });
});

test("gzip packs the same bytes the same way", async () => {
  expect(await port.gzip(plain)).toEqual(await port.gzip(plain));
  expect((await port.gunzip(await port.gzip(plain), limit)).length).toBe(plain.length);
});
