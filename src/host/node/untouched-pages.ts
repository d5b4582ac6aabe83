// Which pages of a WebAssembly memory nobody has ever touched: Linux knows. They are zero, and finding that out by reading
// them would cost a page fault each (2 µs and more), several times what it costs to send one.
import { randomFillSync } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import type { LookForUntouched } from "../../migration/port.ts";

const PAGE_BYTES = 4096;
/** Linux, Documentation/admin-guide/mm/pagemap.rst: 8 bytes a page; bit 63 says present, bit 62 swapped out. */
const ENTRY_BYTES = 8;
const HELD_BITS = 0xc000_0000;
/** In the first page, which is given to nobody (`WorldPlan`). */
const MARK_AT = 16;
const MARK_BYTES = 16;

/**
 * Of pages of `memory`, all of a WebAssembly memory; undefined where it cannot be known. No other thread may be writing to pages
 * that nobody has touched.
 */
export function untouchedPages(memory: Uint8Array): LookForUntouched | undefined {
  if (process.platform !== "linux") return undefined;
  const address = orUndefined(() => addressOf(memory));
  if (address === undefined) return undefined;
  return (words, firstPage, pageCount) => {
    const entries = orUndefined(() => readPagemap(address / PAGE_BYTES + firstPage, pageCount));
    if (entries === undefined) return;
    for (let i = 0; i < pageCount; i++) {
      const page = firstPage + i;
      if ((entries[i * 2 + 1]! & HELD_BITS) === 0) words[page >>> 5]! |= 1 << (page & 31);
    }
  };
}

/** Without /proc, or where it is not for us, everything is looked at. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Where the memory lies in this process: in a private mapping without a file, and it has the mark. */
function addressOf(memory: Uint8Array): number | undefined {
  const mark = memory.subarray(MARK_AT, MARK_AT + MARK_BYTES);
  const wanted = randomFillSync(new Uint8Array(MARK_BYTES));
  const before = mark.slice();
  mark.set(wanted);
  const processMemory = openSync("/proc/self/mem", "r");
  try {
    for (const line of readFileSync("/proc/self/maps", "latin1").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw.p [0-9a-f]+ 00:00 0\s*$/.exec(line);
      if (match === null) continue;
      const [start, end] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
      if (end - start < memory.length) continue;
      const found = new Uint8Array(MARK_BYTES);
      readSync(processMemory, found, 0, MARK_BYTES, start + MARK_AT);
      if (found.every((byte, i) => byte === wanted[i])) return start;
    }
    return undefined;
  } finally {
    closeSync(processMemory);
    mark.set(before);
  }
}

function readPagemap(firstPage: number, pageCount: number): Uint32Array {
  const entries = new Uint32Array(pageCount * 2);
  const bytes = new Uint8Array(entries.buffer);
  const pagemap = openSync("/proc/self/pagemap", "r");
  try {
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(pagemap, bytes, at, bytes.length - at, firstPage * ENTRY_BYTES + at);
      if (count === 0) throw new Error("the page map ends early");
      at += count;
    }
  } finally {
    closeSync(pagemap);
  }
  return entries;
}
