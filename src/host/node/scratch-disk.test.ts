import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openScratchDisk } from "./scratch-disk.ts";

let cache = "";
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "ratite-scratch-"));
});
afterEach(() => rmSync(cache, { recursive: true }));

describe("a scratch disk", () => {
  test("is made on first use, without taking room", async () => {
    const disk = await openScratchDisk(2 ** 20, cache);
    expect(disk).toMatchObject({ name: join(cache, "disks/scratch0.img"), lengthBytes: 2 ** 20, readOnly: false });
    expect(statSync(disk.name).blocks).toBe(0);
    await disk.close();
  });

  test("keeps what was written for the next machine", async () => {
    const first = await openScratchDisk(4096, cache);
    await first.write(7, Uint8Array.of(42));
    await first.close();
    const next = await openScratchDisk(4096, cache);
    const bytes = new Uint8Array(1);
    await next.read(7, bytes);
    expect([next.name, bytes[0]]).toEqual([first.name, 42]);
    await next.close();
  });

  test.skipIf(process.platform !== "linux")("is another one while a machine has the first", async () => {
    const first = await openScratchDisk(4096, cache);
    const second = await openScratchDisk(4096, cache);
    expect(second.name).toBe(join(cache, "disks/scratch1.img"));
    await first.close();
    const third = await openScratchDisk(4096, cache);
    expect(third.name).toBe(first.name);
    for (const disk of [second, third]) await disk.close();
  });

  test("where there can be no folder says so", async () => {
    const path = join(cache, "file");
    writeFileSync(path, "");
    await expect(openScratchDisk(4096, path)).rejects.toMatchObject({ code: "cannotOpen" });
  });
});
