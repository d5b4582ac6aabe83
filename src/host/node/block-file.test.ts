import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { blockNodeContract, RawNode } from "../../block/index.ts";
import { openBlockFile } from "./block-file.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ratite-block-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function image(content: Uint8Array | string = "disk"): string {
  const path = join(folder, "disk.img");
  writeFileSync(path, content);
  return path;
}

describe("a raw node over a file of the host", () => {
  test.each(blockNodeContract)("$claim", async ({ check }) => {
    const make = async (content: Uint8Array, readOnly: boolean) =>
      new RawNode({ nodeName: "d0", file: await openBlockFile(image(content), { readOnly }) });
    await expect(check(make)).resolves.toBeUndefined();
  });
});

describe("a file", () => {
  test("what was written is in the file", async () => {
    const path = image("abcdef");
    const file = await openBlockFile(path);
    await file.write(2, Uint8Array.of(0x58, 0x59));
    await file.flush();
    expect(readFileSync(path, "latin1")).toBe("abXYef");
    await file.close();
  });

  test("becomes longer when it is written past its end", async () => {
    const file = await openBlockFile(image("ab"));
    await file.write(4, Uint8Array.of(1));
    expect(file.lengthBytes).toBe(5);
    await file.close();
  });

  test("that is cut while in use gives an error, not a wait", async () => {
    const path = image("abcdef");
    const file = await openBlockFile(path);
    truncateSync(path, 2);
    await expect(file.read(0, new Uint8Array(6))).rejects.toThrow("The file ends at 2; it was cut while in use");
    await file.close();
  });
});

describe("what cannot be opened says why", () => {
  test("a missing file", async () => {
    const path = join(folder, "none.img");
    await expect(openBlockFile(path)).rejects.toMatchObject({
      code: "cannotOpen",
      subject: path,
      message: `Could not open '${path}': No such file or directory`,
    });
  });

  test("a directory", async () => {
    await expect(openBlockFile(folder)).rejects.toThrow(/: Is a directory$/);
  });

  test("a character device", async () => {
    await expect(openBlockFile("/dev/zero")).rejects.toThrow(/: Is neither a file nor a block device$/);
  });

  test("a FIFO, without waiting for its other end", async () => {
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    await expect(openBlockFile(path)).rejects.toThrow(/: Is neither a file nor a block device$/);
  });

  test.skipIf(process.getuid?.() === 0)("a file that may not be written", async () => {
    const path = image();
    chmodSync(path, 0o400);
    await expect(openBlockFile(path)).rejects.toThrow(/: Permission denied; read-only=on may do$/);
    const file = await openBlockFile(path, { readOnly: true });
    await file.close();
  });
});

describe.skipIf(process.platform !== "linux")("an image that is open for writing", () => {
  test("is refused to a second writer and to readers, until it is closed", async () => {
    const path = image();
    const file = await openBlockFile(path);
    await expect(openBlockFile(path)).rejects.toMatchObject({ code: "busy" });
    await expect(openBlockFile(path, { readOnly: true })).rejects.toMatchObject({ code: "busy" });
    await file.close();
    await (await openBlockFile(path)).close();
  });

  test("is handed over: opened for later, locked when the first lets go, and taken back", async () => {
    const path = image();
    const file = await openBlockFile(path);
    const other = await openBlockFile(path, { lock: "later" });
    expect(other.lengthBytes).toBe(4);
    await expect(other.lock!()).rejects.toMatchObject({ code: "busy" });
    file.unlock!();
    await other.lock!();
    await expect(file.lock!()).rejects.toMatchObject({ code: "busy" });
    other.unlock!();
    await file.lock!();
    await other.close();
    await file.close();
  });

  const hasPython = spawnSync("python3", ["-c", "import fcntl"]).status === 0;
  test.skipIf(!hasPython)("by a process that takes POSIX locks, as QEMU does, is refused", async () => {
    const path = image();
    const program = "import fcntl,sys;f=open(sys.argv[1],'r+');fcntl.lockf(f,2);print(1,flush=True);sys.stdin.read()";
    const holder = spawn("python3", ["-c", program, path], { stdio: ["pipe", "pipe", "ignore"] });
    await once(holder.stdout, "data");
    await expect(openBlockFile(path)).rejects.toMatchObject({ code: "busy" });
    holder.stdin.end();
    await once(holder, "close");
    const file = await openBlockFile(path);
    await file.close();
  });

  test("may be read by several", async () => {
    const path = image();
    const files = [await openBlockFile(path, { readOnly: true }), await openBlockFile(path, { readOnly: true })];
    for (const file of files) await file.close();
    expect(files.map(({ lengthBytes }) => lengthBytes)).toEqual([4, 4]);
  });
});
