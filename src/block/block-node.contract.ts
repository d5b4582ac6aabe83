// What every BlockNode keeps. Each claim throws when it is broken; a member's test file runs them all, as
// `memory.test.ts` does.
import { assert } from "../base/index.ts";
import { BlockError, type BlockErrorCode } from "./errors.ts";
import type { BlockNode } from "./port.ts";

export interface BlockNodeClaim {
  readonly claim: string;
  /** `make` opens a fresh node with this content, whose length is a multiple of 4096. */
  readonly check: (make: (content: Uint8Array, readOnly: boolean) => Promise<BlockNode>) => Promise<void>;
}

const LENGTH_BYTES = 64 * 1024;

/** Bytes that say where they are. */
function pattern(lengthBytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (i * 7 + (i >> 8) * 13 + seed) & 0xff);
}

async function readBack(node: BlockNode, offset: number, lengthBytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(lengthBytes).fill(0xa5);
  await node.read(offset, into);
  return into;
}

function assertEqual(found: Uint8Array, expected: Uint8Array, what: string): void {
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  assert(found.length === expected.length && at === -1, what, at, found[at], expected[at]);
}

async function assertRefused(outcome: Promise<void>, code: BlockErrorCode): Promise<void> {
  const error = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert(error instanceof BlockError && error.code === code, `the node refuses with ${code}`, String(error));
}

export const blockNodeContract: readonly BlockNodeClaim[] = [
  {
    claim: "reads what the back end holds",
    async check(make): Promise<void> {
      const content = pattern(LENGTH_BYTES, 1);
      const node = await make(content.slice(), false);
      assert(node.lengthBytes === LENGTH_BYTES, "the node is as long as its content", node.lengthBytes);
      assertEqual(await readBack(node, 0, LENGTH_BYTES), content, "all");
      assertEqual(await readBack(node, 4096, 512), content.subarray(4096, 4608), "a part");
      assertEqual(await readBack(node, LENGTH_BYTES - 512, 512), content.subarray(-512), "the end");
      await node.close();
    },
  },
  {
    claim: "reads what was written, and leaves the rest alone",
    async check(make): Promise<void> {
      const expected = pattern(LENGTH_BYTES, 1);
      const node = await make(expected.slice(), false);
      const written = pattern(8192, 99);
      await node.write(4096, written);
      expected.set(written, 4096);
      assertEqual(await readBack(node, 0, LENGTH_BYTES), expected, "all");
      await node.close();
    },
  },
  {
    claim: "takes and fills buffers in shared memory",
    async check(make): Promise<void> {
      const node = await make(new Uint8Array(LENGTH_BYTES), false);
      const shared = new Uint8Array(new SharedArrayBuffer(8192), 4096, 512);
      shared.set(pattern(512, 5));
      await node.write(512, shared);
      shared.fill(0);
      await node.read(512, shared);
      assertEqual(shared, pattern(512, 5), "what was written from shared memory");
      await node.close();
    },
  },
  {
    claim: "writes zeroes, whether or not it may unmap",
    async check(make): Promise<void> {
      const expected = pattern(LENGTH_BYTES, 1);
      const node = await make(expected.slice(), false);
      await node.writeZeroes(4096, 4096, false);
      await node.writeZeroes(16384, 8192, true);
      expected.fill(0, 4096, 8192).fill(0, 16384, 24576);
      assertEqual(await readBack(node, 0, LENGTH_BYTES), expected, "all");
      await node.close();
    },
  },
  {
    claim: "a discarded range reads as zeroes or as before, its neighbours as before",
    async check(make): Promise<void> {
      const content = pattern(LENGTH_BYTES, 1);
      const node = await make(content.slice(), false);
      await node.discard(8192, 4096);
      assertEqual(await readBack(node, 0, 8192), content.subarray(0, 8192), "before it");
      assertEqual(await readBack(node, 12288, 4096), content.subarray(12288, 16384), "behind it");
      const inside = await readBack(node, 8192, 4096);
      const isZero = inside.every((byte) => byte === 0);
      if (!isZero) assertEqual(inside, content.subarray(8192, 12288), "inside it");
      await node.close();
    },
  },
  {
    claim: "serves many requests at once",
    async check(make): Promise<void> {
      const node = await make(new Uint8Array(LENGTH_BYTES), false);
      const places = Array.from({ length: 16 }, (_, i) => i * 4096);
      await Promise.all(places.map((at) => node.write(at, pattern(4096, at >> 12))));
      await node.flush();
      const found = await Promise.all(places.map((at) => readBack(node, at, 4096)));
      for (const [i, bytes] of found.entries()) assertEqual(bytes, pattern(4096, i), "a block of its own");
      await node.close();
    },
  },
  {
    claim: "flushes, with nothing written and after writes",
    async check(make): Promise<void> {
      const node = await make(new Uint8Array(LENGTH_BYTES), false);
      await node.flush();
      await node.write(0, pattern(512, 3));
      await node.flush();
      assertEqual(await readBack(node, 0, 512), pattern(512, 3), "what was flushed");
      await node.close();
    },
  },
  {
    claim: "refuses ranges that do not lie inside",
    async check(make): Promise<void> {
      const node = await make(new Uint8Array(LENGTH_BYTES), false);
      const bytes = new Uint8Array(1024);
      for (const offset of [LENGTH_BYTES - 512, LENGTH_BYTES, -512, 2 ** 53, NaN, 0.5]) {
        await assertRefused(node.read(offset, bytes), "outOfRange");
        await assertRefused(node.write(offset, bytes), "outOfRange");
        await assertRefused(node.discard(offset, 1024), "outOfRange");
        await assertRefused(node.writeZeroes(offset, 1024, true), "outOfRange");
      }
      assert(node.lengthBytes === LENGTH_BYTES, "the node has not grown", node.lengthBytes);
      await node.close();
    },
  },
  {
    claim: "takes empty requests, also at its end",
    async check(make): Promise<void> {
      const node = await make(new Uint8Array(LENGTH_BYTES), false);
      await node.read(LENGTH_BYTES, new Uint8Array(0));
      await node.write(0, new Uint8Array(0));
      await node.discard(0, 0);
      await node.writeZeroes(LENGTH_BYTES, 0, false);
      await node.close();
    },
  },
  {
    claim: "refuses every change when it is read-only, and reads",
    async check(make): Promise<void> {
      const content = pattern(LENGTH_BYTES, 1);
      const node = await make(content.slice(), true);
      assert(node.readOnly, "the node says that it is read-only");
      await assertRefused(node.write(0, new Uint8Array(512)), "readOnly");
      await assertRefused(node.discard(0, 512), "readOnly");
      await assertRefused(node.writeZeroes(0, 512, true), "readOnly");
      await node.flush();
      assertEqual(await readBack(node, 0, LENGTH_BYTES), content, "all");
      await node.close();
    },
  },
  {
    claim: "closing waits for what is in flight, may be repeated, and ends all use",
    async check(make): Promise<void> {
      const node = await make(pattern(LENGTH_BYTES, 1), false);
      const into = new Uint8Array(512);
      const reading = node.read(0, into);
      await Promise.all([node.close(), node.close()]);
      await reading;
      assertEqual(into, pattern(LENGTH_BYTES, 1).subarray(0, 512), "what was read meanwhile");
      await assertRefused(node.read(0, into), "closed");
      await assertRefused(node.flush(), "closed");
    },
  },
];
