import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { NullChar } from "../chardev/index.ts";
import { foreignFormat } from "./image-format.ts";
import { openPlan, type OpenedPlan, type OpenOptions } from "./open-plan.ts";
import type { BlockPlan, CharPlan, MachinePlan } from "./plan.ts";

const folder = mkdtempSync(join(tmpdir(), "ratite-open-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function plan(more: Partial<MachinePlan>): MachinePlan {
  return {
    board: "virt",
    boardOptions: {},
    fwCfg: [],
    cpu: { model: "rv64", features: {} },
    smp: 1,
    memoryBytes: 2 ** 26,
    firmware: "default",
    commandLine: "",
    serials: [],
    devices: [],
    iommufds: [],
    noReboot: false,
    noShutdown: false,
    startPaused: false,
    rtc: { base: "utc", clock: "host" },
    chardevs: [],
    blockNodes: [],
    ...more,
  };
}

const warnings: string[] = [];
function open(more: Partial<MachinePlan>, options: Partial<OpenOptions> = {}): Promise<OpenedPlan> {
  warnings.length = 0;
  return openPlan(plan(more), {
    warn: (text) => warnings.push(text),
    onQuit: () => {},
    onWaiting: () => {},
    ...options,
  });
}

describe("a disk that nobody named", () => {
  const plain = { nodeName: "n", subject: "scratch", formatGiven: true, readOnly: false, autoReadOnly: false };
  const blockNodes = [{ ...plain, image: { scratchBytes: 2 ** 20 } }];
  afterEach(() => vi.unstubAllEnvs());

  test("is one of the cache folder", async () => {
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
    const { imagePaths, blockNodes: nodes, close } = await open({ blockNodes });
    expect(imagePaths.get("n")).toBe(join(folder, "cache/ratite/disks/scratch0.img"));
    expect(nodes.get("n")?.lengthBytes).toBe(2 ** 20);
    await close();
  });

  test("is kept in memory where there can be no such folder", async () => {
    vi.stubEnv("XDG_CACHE_HOME", file("no-folder", new Uint8Array()));
    const { imagePaths, blockNodes: nodes, close } = await open({ blockNodes });
    expect([imagePaths.size, nodes.get("n")?.lengthBytes]).toEqual([0, 2 ** 20]);
    expect(warnings).toEqual([expect.stringMatching(/^scratch: Could not make .*; it is kept in memory$/)]);
    await close();
  });
});

describe("files to load", () => {
  test("bytes and name come along; the plan's own members do not", async () => {
    const path = file("initrd", Buffer.from("070701"));
    const { config, close } = await open({ initrd: { subject: "-initrd", path } });
    expect(config.initrd?.name).toBe(path);
    expect(Object.keys(config)).not.toContain("chardevs");
    await close();
  });

  test("a gzip-compressed kernel is unpacked", async () => {
    const path = file("Image.gz", gzipSync(Buffer.from("the kernel")));
    const { config, close } = await open({ kernel: { subject: "-kernel", path } });
    expect(Buffer.from(config.kernel?.bytes ?? []).toString()).toBe("the kernel");
    await close();
  });

  test("a truncated one is told by option", async () => {
    const path = file("cut.gz", gzipSync(Buffer.alloc(5000, 1)).subarray(0, 20));
    await expect(open({ kernel: { subject: `-kernel ${path}`, path } })).rejects.toMatchObject({
      subject: `-kernel ${path}`,
      message: expect.stringContaining("which is gzip data") as string,
    });
  });
});

describe("disks", () => {
  const disk = (image: BlockPlan["image"], more: Partial<BlockPlan> = {}): BlockPlan => ({
    nodeName: "d",
    subject: "-drive d",
    image,
    formatGiven: true,
    readOnly: false,
    autoReadOnly: false,
    ...more,
  });

  test("bytes become a disk of its own: the caller's stay as they are", async () => {
    const bytes = new Uint8Array(1024);
    const { blockNodes, close } = await open({ blockNodes: [disk(bytes)] });
    await blockNodes.get("d")?.write(0, Uint8Array.of(1, 2));
    expect(bytes[0]).toBe(0);
    await close();
  });

  test("a raw image without format= is taken with a warning", async () => {
    const path = file("raw.img", new Uint8Array(1024));
    const { blockNodes, close } = await open({ blockNodes: [disk(path, { formatGiven: false })] });
    expect(blockNodes.get("d")?.lengthBytes).toBe(1024);
    expect(warnings).toEqual([expect.stringContaining("-drive d: Image format was not specified")]);
    await close();
  });

  test.each([
    ["a qcow2 image", [0x51, 0x46, 0x49, 0xfb]],
    ["a VHDX image", [0x76, 0x68, 0x64, 0x78, 0x66, 0x69, 0x6c, 0x65]],
    ["an xz file", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ])("%s is recognized", (format, start) => {
    expect(foreignFormat(Uint8Array.from(start))).toBe(format);
    expect(foreignFormat(Uint8Array.from([0, ...start]))).toBeUndefined();
  });

  test("what was open is closed again when something later fails", async () => {
    const path = file("free.img", new Uint8Array(512));
    const failing = { blockNodes: [disk(path), disk(join(folder, "missing"), { nodeName: "m", subject: "-drive m" })] };
    await expect(open(failing)).rejects.toMatchObject({ subject: "-drive m" });
    // A writer holds the image for itself: it can be had again only when the first node was closed.
    const again = await open({ blockNodes: [disk(path)] });
    expect(again.blockNodes.size).toBe(1);
    await again.close();
  });
});

describe("character devices", () => {
  const lent: CharPlan = { id: "c", subject: "console", mux: false, backend: { kind: "lent" } };

  test("a lent one is the caller's own", async () => {
    const mine = new NullChar("c");
    const { chardevs, close } = await open({ chardevs: [lent] }, { lent: new Map([["c", mine]]) });
    expect(chardevs.get("c")).toBe(mine);
    await close();
  });

  test("one that nobody brought is an error", async () => {
    await expect(open({ chardevs: [lent] })).rejects.toMatchObject({ subject: "console" });
  });
});
