import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GuestManifest } from "../../guest/port.ts";
import { guestCacheFolder } from "./guest-host.ts";
import { FolderStore } from "./guest-store.ts";

let cache: string;
let store: FolderStore;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "ratite-store-"));
  store = new FolderStore(cache);
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

const id = { name: "debian", release: "trixie" };
const manifest: GuestManifest = { ...id, recipe: 1, kernelRelease: "6.12", origins: ["mirror trixie"], packages: [] };
const files = (mark: string): { kernel: Uint8Array; initrd: Uint8Array } => ({
  kernel: new TextEncoder().encode(`kernel ${mark}`),
  initrd: new TextEncoder().encode(`initrd ${mark}`),
});
const folder = (): string => join(cache, "guests/debian/trixie");
const options = { report: (): void => {} };

describe("FolderStore", () => {
  test("gives back what was written, from another instance too", async () => {
    const written = await store.write(manifest, files("a"));
    expect(readFileSync(written.kernelPath, "utf8")).toBe("kernel a");
    expect(await new FolderStore(cache).read(id)).toEqual(written);
    expect(await store.list()).toEqual([written]);
  });
  test("replaces a guest and leaves nothing of the old one", async () => {
    await store.write(manifest, files("a"));
    const written = await store.write(manifest, files("b"));
    expect(readFileSync(written.initrdPath, "utf8")).toBe("initrd b");
    expect(readdirSync(folder())).toHaveLength(3);
  });
  test("takes no guest for one whose files are cut off or gone", async () => {
    const written = await store.write(manifest, files("a"));
    truncateSync(written.initrdPath, 3);
    expect(await store.read(id)).toBeUndefined();
    rmSync(written.initrdPath);
    expect(await store.read(id)).toBeUndefined();
    expect(await store.list()).toEqual([]);
  });
  test("takes no guest for one whose manifest is damaged", async () => {
    await store.write(manifest, files("a"));
    for (const text of ["", "{", "null", "[]", '{"name":"debian"}', '{"name":1,"kernel":{"file":"../x"}}']) {
      writeFileSync(join(folder(), "manifest.json"), text);
      expect(await store.read(id)).toBeUndefined();
    }
  });
  test("keeps the guest as it was when a replacement ended half-way", async () => {
    const written = await store.write(manifest, files("a"));
    writeFileSync(join(folder(), "vmlinux-0123.new-99"), "half");
    expect(await store.read(id)).toEqual(written);
    await store.write(manifest, files("a"));
    expect(existsSync(join(folder(), "vmlinux-0123.new-99"))).toBe(false);
  });
  test("removes a guest once", async () => {
    await store.write(manifest, files("a"));
    expect(await store.remove(id)).toBe(true);
    expect(await store.remove(id)).toBe(false);
    expect(await store.read(id)).toBeUndefined();
  });
  test("says what is wrong with a cache folder that is a file", async () => {
    writeFileSync(join(cache, "guests"), "");
    await expect(store.write(manifest, files("a"))).rejects.toMatchObject({ code: "cacheFailed" });
    await expect(store.exclusively(options, () => Promise.resolve(1))).rejects.toThrow("another one by XDG_CACHE_HOME");
  });
});

test.skipIf(!existsSync("/proc/self"))(
  "a cache folder where nothing can be made is said so (skipped without /proc)",
  async () => {
    const nowhere = new FolderStore("/proc/nowhere/cache");
    await expect(nowhere.write(manifest, files("a"))).rejects.toMatchObject({ code: "cacheFailed" });
  },
);

describe("the store's lock", () => {
  test("lets one in at a time, and tells the other whom it waits for", async () => {
    const order: string[] = [];
    const waits: string[] = [];
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
    const work = (name: string): Promise<void> =>
      store.exclusively({ report: (p) => waits.push(p.subject) }, async () => {
        order.push(`${name} in`);
        await pause();
        order.push(`${name} out`);
      });
    await Promise.all([work("a"), work("b")]);
    expect([order[1], order[3]]).toEqual([order[0]!.replace("in", "out"), order[2]!.replace("in", "out")]);
    expect(waits).toEqual([`process ${process.pid}, which is fetching a guest`]);
  });
  test("is taken over from a process that is gone, and freed after a failure", async () => {
    mkdirSync(cache, { recursive: true });
    // Pids end below 2^22 on Linux.
    writeFileSync(join(cache, "guests.lock"), "4194304\n");
    await expect(store.exclusively(options, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(existsSync(join(cache, "guests.lock"))).toBe(false);
  });
  test("is given up when the wait is aborted", async () => {
    writeFileSync(join(cache, "guests.lock"), `${process.pid}\n`);
    const signal = AbortSignal.timeout(20);
    await expect(store.exclusively({ ...options, signal }, () => Promise.resolve(1))).rejects.toThrow("timeout");
  });
});

test("guestCacheFolder follows XDG_CACHE_HOME when it is absolute", () => {
  expect(guestCacheFolder({ XDG_CACHE_HOME: "/var/c", HOME: "/home/u" })).toBe("/var/c/ratite");
  expect(guestCacheFolder({ XDG_CACHE_HOME: "c", HOME: "/home/u" })).toBe("/home/u/.cache/ratite");
  expect(guestCacheFolder({ HOME: "/home/u" })).toBe("/home/u/.cache/ratite");
});
