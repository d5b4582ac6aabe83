import { describe, expect, test } from "vitest";
import { assert } from "../base/index.ts";
import { blockNodeContract } from "./block-node.contract.ts";
import { BlockError } from "./errors.ts";
import type { FilePort } from "./port.ts";
import { RawNode } from "./raw.ts";

/** A file in memory that answers a turn later, as files do. */
class TestFile implements FilePort {
  readonly name = "disk.img";
  readonly alignmentBytes = 1;
  readonly readOnly: boolean;
  bytes: Uint8Array;
  closed = 0;
  failure: Error | undefined;

  constructor(bytes: Uint8Array, readOnly = false) {
    this.bytes = bytes;
    this.readOnly = readOnly;
  }

  get lengthBytes(): number {
    return this.bytes.length;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#turn();
    assert(offset + into.length <= this.bytes.length, "a file is read inside its length", offset, into.length);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    await this.#turn();
    if (offset + from.length > this.bytes.length) {
      const longer = new Uint8Array(offset + from.length);
      longer.set(this.bytes);
      this.bytes = longer;
    }
    this.bytes.set(from, offset);
  }

  flush(): Promise<void> {
    return this.#turn();
  }

  async close(): Promise<void> {
    await this.#turn();
    this.closed++;
  }

  async #turn(): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
  }
}

describe("a raw node", () => {
  test.each(blockNodeContract)("$claim", async ({ check }) => {
    const make = (content: Uint8Array, readOnly: boolean) =>
      Promise.resolve(new RawNode({ nodeName: "d0", file: new TestFile(content, readOnly) }));
    await expect(check(make)).resolves.toBeUndefined();
  });

  test("shows a range of a file as a disk of its own", async () => {
    const file = new TestFile(Uint8Array.from({ length: 2048 }, (_, i) => i >> 9));
    const node = new RawNode({ nodeName: "d0", file, offsetBytes: 512, lengthBytes: 1024 });
    expect(node.lengthBytes).toBe(1024);
    const into = new Uint8Array(1);
    await node.read(512, into);
    expect(into[0]).toBe(2);
    await node.write(0, Uint8Array.of(9));
    expect(file.bytes[512]).toBe(9);
    await expect(node.write(1024, Uint8Array.of(9))).rejects.toMatchObject({ code: "outOfRange" });
  });

  test("fills the last sector of an odd file with zeroes", async () => {
    const file = new TestFile(new Uint8Array(700).fill(7));
    const node = new RawNode({ nodeName: "d0", file });
    expect(node.lengthBytes).toBe(1024);
    const into = new Uint8Array(512).fill(1);
    await node.read(512, into);
    expect(into.subarray(0, 188)).toEqual(new Uint8Array(188).fill(7));
    expect(into.subarray(188)).toEqual(new Uint8Array(324));
  });

  test("lets the last sector of an odd file be written, and reads it back", async () => {
    const file = new TestFile(new Uint8Array(700));
    const node = new RawNode({ nodeName: "d0", file });
    await node.write(512, new Uint8Array(512).fill(3));
    const into = new Uint8Array(512);
    await node.read(512, into);
    expect(into).toEqual(new Uint8Array(512).fill(3));
    expect(file.lengthBytes).toBe(1024);
  });

  test("hands zeroing and discarding to a file that can", async () => {
    const calls: string[] = [];
    const file = Object.assign(new TestFile(new Uint8Array(4096)), {
      discard: (at: number, n: number) => Promise.resolve(void calls.push(`discard ${at} ${n}`)),
      writeZeroes: (at: number, n: number, unmap: boolean) =>
        Promise.resolve(void calls.push(`zero ${at} ${n} ${unmap}`)),
    });
    const node = new RawNode({ nodeName: "d0", file, offsetBytes: 512 });
    await node.discard(0, 512);
    await node.writeZeroes(512, 512, true);
    expect(calls).toEqual(["discard 512 512", "zero 1024 512 true"]);
  });

  test("zeroes long ranges in pieces", async () => {
    const file = new TestFile(new Uint8Array(1 << 20).fill(1));
    const node = new RawNode({ nodeName: "d0", file });
    await node.writeZeroes(512, (1 << 20) - 1024, false);
    expect(file.bytes[511]).toBe(1);
    expect(file.bytes.subarray(512, -512).some((byte) => byte !== 0)).toBe(false);
    expect(file.bytes.at(-512)).toBe(1);
  });

  test("wraps what the host says", async () => {
    const file = new TestFile(new Uint8Array(512));
    const node = new RawNode({ nodeName: "d0", file });
    file.failure = new Error("No space left on device");
    const error = await node.write(0, Uint8Array.of(1)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BlockError);
    expect(error).toMatchObject({
      code: "ioError",
      subject: "d0",
      message: "Could not write 'disk.img': No space left on device",
      cause: file.failure,
    });
  });

  test("cannot be writable over a file that is not", () => {
    const file = new TestFile(new Uint8Array(512), true);
    expect(() => new RawNode({ nodeName: "d0", file, readOnly: false })).toThrow(/read-only=on would do/);
  });

  test.each([
    ["past the end", { offsetBytes: 1024 }],
    ["longer than the file", { lengthBytes: 1024 }],
    ["not in sectors", { offsetBytes: 100, lengthBytes: 0 }],
  ])("refuses a range that is %s", (_name, range) => {
    const file = new TestFile(new Uint8Array(512));
    expect(() => new RawNode({ nodeName: "d0", file, ...range })).toThrow(BlockError);
  });

  test("closes its file once", async () => {
    const file = new TestFile(new Uint8Array(512));
    const node = new RawNode({ nodeName: "d0", file });
    await node.close();
    await node.close();
    expect(file.closed).toBe(1);
  });
});
