// The flat view: what a region tree looks like from above, as sorted sections that do not overlap.
import { assert } from "../base/index.ts";
import type { MemoryRegion } from "./region.ts";
import type { RamBlock } from "./port.ts";

/** A run of addresses that shows one run of a RAM, ROM or MMIO region. */
export interface MemorySection {
  /** First address in the address space. */
  readonly start: number;
  readonly lengthBytes: number;
  readonly region: MemoryRegion;
  /** Where in the region the section begins. */
  readonly offsetInRegion: number;
  readonly readOnly: boolean;
  /** The RAM block behind it, when it is RAM or ROM: the section begins at byte `offsetInRegion` of the block. */
  readonly block: RamBlock | undefined;
}

/** Told of each change of an address space, in this order; each part is optional. Listeners do not throw. */
export interface MemoryListener {
  begin?(): void;
  /** A section of the old view that is no more; in ascending order, all before the first added one. */
  regionDel?(section: MemorySection): void;
  /** A section of the new view that was not there before; in ascending order. */
  regionAdd?(section: MemorySection): void;
  commit?(): void;
}

/** The sections of `root`, ascending. */
export function renderFlatView(root: MemoryRegion): readonly MemorySection[] {
  const sections: MemorySection[] = [];
  render(root, 0, 0, root.lengthBytes, false, sections);
  return joinAdjacent(sections);
}

/** Puts what `region` shows in [clipStart, clipEnd), with its byte 0 at `base`, into the gaps of `out`. */
function render(
  region: MemoryRegion,
  base: number,
  clipStart: number,
  clipEnd: number,
  readOnly: boolean,
  out: MemorySection[],
): void {
  if (!region.enabled) return;
  const start = Math.max(base, clipStart);
  const end = Math.min(base + region.lengthBytes, clipEnd);
  if (start >= end) return;
  const { content } = region;
  switch (content.kind) {
    case "container":
      for (const { region: child, at } of region.children) render(child, base + at, start, end, readOnly, out);
      return;
    case "alias":
      render(content.target, base - content.offsetBytes, start, end, readOnly || content.readOnly, out);
      return;
    case "ram":
      fillGaps(out, region, base, start, end, readOnly || content.readOnly, content.block);
      return;
    case "mmio":
      fillGaps(out, region, base, start, end, readOnly, undefined);
      return;
  }
}

function fillGaps(
  out: MemorySection[],
  region: MemoryRegion,
  base: number,
  start: number,
  end: number,
  readOnly: boolean,
  block: RamBlock | undefined,
): void {
  let at = start;
  let i = out.findIndex((section) => section.start + section.lengthBytes > start);
  if (i === -1) i = out.length;
  while (at < end) {
    const next = out[i];
    const gapEnd = next === undefined ? end : Math.min(next.start, end);
    if (at < gapEnd) {
      out.splice(i, 0, {
        start: at,
        lengthBytes: gapEnd - at,
        region,
        offsetInRegion: at - base,
        readOnly,
        block,
      });
      i += 1;
    }
    if (next === undefined) return;
    at = next.start + next.lengthBytes;
    i += 1;
  }
}

function joinAdjacent(sections: readonly MemorySection[]): readonly MemorySection[] {
  const joined: MemorySection[] = [];
  for (const section of sections) {
    const last = joined.at(-1);
    const continues =
      last !== undefined &&
      last.region === section.region &&
      last.readOnly === section.readOnly &&
      last.start + last.lengthBytes === section.start &&
      last.offsetInRegion + last.lengthBytes === section.offsetInRegion;
    if (continues) joined[joined.length - 1] = { ...last, lengthBytes: last.lengthBytes + section.lengthBytes };
    else joined.push(section);
  }
  return joined;
}

export interface FlatDifference {
  readonly removed: readonly MemorySection[];
  readonly added: readonly MemorySection[];
}

/** What makes `after` out of `before`; sections that both have are in neither list. */
export function differenceOf(before: readonly MemorySection[], after: readonly MemorySection[]): FlatDifference {
  const removed: MemorySection[] = [];
  const added: MemorySection[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const old = before[i];
    const now = after[j];
    if (old !== undefined && now !== undefined && sameSection(old, now)) {
      i += 1;
      j += 1;
    } else if (old !== undefined && (now === undefined || old.start <= now.start)) {
      removed.push(old);
      i += 1;
    } else {
      assert(now !== undefined, "one of the views has sections left");
      added.push(now);
      j += 1;
    }
  }
  return { removed, added };
}

function sameSection(a: MemorySection, b: MemorySection): boolean {
  return (
    a.start === b.start &&
    a.lengthBytes === b.lengthBytes &&
    a.region === b.region &&
    a.offsetInRegion === b.offsetInRegion &&
    a.readOnly === b.readOnly
  );
}
