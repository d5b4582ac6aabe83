// A naive page-by-page model against the software host: maps, copies, unmaps, attachments, DMA and dirty queries agree.
// RATITE_IOMMUFD_STEPS=1000000 runs a long one.
import { expect, test } from "vitest";
import { Errno, HwptAllocFlag } from "../uapi/index.ts";
import { attachDevice } from "./attach-device.ts";
import { detachDevice } from "./bound-device.ts";
import { DmaResult } from "./device-dma.ts";
import { testBench } from "./test-bench.ts";
import { NO_PASID } from "./unit.ts";
import { unitProfiles } from "./unit-description.ts";

const STEPS = Number(process.env["RATITE_IOMMUFD_STEPS"] ?? 20_000);
const PAGE = 0x1000;
const IOVA_PAGES = 64;
const MEMORY_PAGES = 128;

interface ModelArea {
  readonly first: number;
  readonly count: number;
  readonly source: number;
  readonly writable: boolean;
  /** Whether the pages behind it may be written at all (a copy inherits it). */
  readonly sourceWritable: boolean;
}

/** One IOAS with one device, as plain lists. */
class ModelSpace {
  areas: ModelArea[] = [];
  attached = false;
  dirty = new Set<number>();

  at(page: number): ModelArea | undefined {
    return this.areas.find((a) => page >= a.first && page < a.first + a.count);
  }

  overlaps(first: number, count: number): boolean {
    return this.areas.some((a) => a.first < first + count && first < a.first + a.count);
  }

  /** The kernel's partial unmap: ascending, until one area sticks out. */
  unmap(first: number, count: number): { errno: number; unmapped: number } {
    let unmapped = 0;
    for (const a of [...this.areas].sort((x, y) => x.first - y.first)) {
      if (a.first + a.count <= first || a.first >= first + count) continue;
      if (a.first < first || a.first + a.count > first + count) return { errno: Errno.ENOENT, unmapped };
      this.areas.splice(this.areas.indexOf(a), 1);
      for (let i = a.first; i < a.first + a.count; i++) this.dirty.delete(i);
      unmapped += a.count;
    }
    return { errno: unmapped === 0 ? Errno.ENOENT : 0, unmapped };
  }
}

/** xorshift32: the same numbers in every run. */
function makeRandom(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

test("a long run of random operations agrees with a naive map, and nothing leaks", { timeout: 600_000 }, () => {
  const random = makeRandom(0x1234_5678);
  const b = testBench({ kernelQuirks: false });
  const spaces = [0, 1].map(() => {
    const ioasId = b.client.ioasAlloc();
    const device = b.bind(unitProfiles["vtd-ssads"]!);
    const flags = HwptAllocFlag.DIRTY_TRACKING;
    const hwpt = b.client.hwptAlloc({ deviceId: device.bound.id, parentId: ioasId, flags });
    b.client.setDirtyTracking(hwpt, true);
    return { ioasId, device, hwpt, model: new ModelSpace() };
  });
  const expected = new Uint8Array(MEMORY_PAGES * PAGE);
  const iovaOf = (page: number): bigint => BigInt((page + 1) * PAGE);

  for (let step = 0; step < STEPS; step++) {
    const space = spaces[random(2)]!;
    const { model, ioasId } = space;
    const first = random(IOVA_PAGES);
    const count = 1 + random(Math.min(8, IOVA_PAGES - first));
    const iova = iovaOf(first);
    const lengthBytes = BigInt(count * PAGE);
    switch (random(7)) {
      case 0: {
        const source = random(MEMORY_PAGES - count);
        const writable = random(4) > 0;
        const flags = 1 | 4 | (writable ? 2 : 0);
        const request = { flags, ioas_id: ioasId, user_va: BigInt(source * PAGE), length: lengthBytes, iova };
        const { errno } = b.client.attempt("ioasMap", request);
        expect(errno).toBe(model.overlaps(first, count) ? Errno.EEXIST : 0);
        if (errno === 0) model.areas.push({ first, count, source, writable, sourceWritable: writable });
        break;
      }
      case 1: {
        const { errno, reply } = b.client.attempt("ioasUnmap", { ioas_id: ioasId, iova, length: lengthBytes });
        const want = model.unmap(first, count);
        expect(errno).toBe(want.errno);
        if (errno === 0) expect(reply.length).toBe(BigInt(want.unmapped * PAGE));
        break;
      }
      case 2: {
        const from = spaces[random(2)]!;
        const sourcePage = random(IOVA_PAGES - count);
        const writable = random(4) > 0;
        const request = {
          flags: 1 | 4 | (writable ? 2 : 0),
          src_ioas_id: from.ioasId,
          src_iova: iovaOf(sourcePage),
          dst_ioas_id: ioasId,
          dst_iova: iova,
          length: lengthBytes,
        };
        const { errno } = b.client.attempt("ioasCopy", request);
        const covered: ModelArea[] = [];
        for (let i = 0; i < count; i++) {
          const a = from.model.at(sourcePage + i);
          if (a !== undefined && covered.at(-1) !== a) covered.push(a);
        }
        const whole = Array.from({ length: count }, (_, i) => from.model.at(sourcePage + i)).every(Boolean);
        let want = 0;
        if (!whole) want = Errno.ENOENT;
        else if (model.overlaps(first, count)) want = Errno.EEXIST;
        else if (writable && covered.some((a) => !a.sourceWritable)) want = Errno.EPERM;
        expect(errno).toBe(want);
        if (want !== 0) break;
        for (const a of covered) {
          const start = Math.max(a.first, sourcePage);
          const end = Math.min(a.first + a.count, sourcePage + count);
          model.areas.push({
            first: first + (start - sourcePage),
            count: end - start,
            source: a.source + (start - a.first),
            writable,
            sourceWritable: a.sourceWritable,
          });
        }
        break;
      }
      case 3:
        if (model.attached) detachDevice(space.device.bound, NO_PASID);
        else expect(attachDevice(space.device.bound, NO_PASID, space.hwpt)).toBe(space.hwpt);
        model.attached = !model.attached;
        break;
      case 4: {
        const offset = random(PAGE);
        const bytes = Uint8Array.from({ length: 1 + random(2 * PAGE) }, () => random(256));
        let want: number = DmaResult.ok;
        for (let done = 0; done < bytes.length && want === DmaResult.ok;) {
          const page = first + Math.floor((offset + done) / PAGE);
          const inPage = (offset + done) % PAGE;
          const n = Math.min(PAGE - inPage, bytes.length - done);
          const a = model.attached ? model.at(page) : undefined;
          if (a === undefined) want = DmaResult.unmapped;
          else if (!a.writable) want = DmaResult.forbidden;
          else {
            expected.set(bytes.subarray(done, done + n), (a.source + page - a.first) * PAGE + inPage);
            model.dirty.add(page);
          }
          done += n;
        }
        expect(space.device.dma.write(iova + BigInt(offset), bytes)).toBe(want);
        break;
      }
      case 5: {
        const bytes = new Uint8Array(PAGE);
        const a = model.attached ? model.at(first) : undefined;
        const want = a === undefined ? DmaResult.unmapped : DmaResult.ok;
        expect(space.device.dma.read(iova, bytes)).toBe(want);
        if (a !== undefined) {
          const at = (a.source + first - a.first) * PAGE;
          expect(Buffer.compare(bytes, expected.subarray(at, at + PAGE))).toBe(0);
        }
        break;
      }
      default: {
        const keep = random(2) === 0;
        const bitmap = b.client.getDirtyBitmap(space.hwpt, iovaOf(0), BigInt(IOVA_PAGES * PAGE), BigInt(PAGE), {
          keep,
        });
        const want = new Uint8Array(IOVA_PAGES / 8);
        for (const i of model.dirty) want[i >> 3]! |= 1 << (i & 7);
        expect(Buffer.compare(bitmap, want)).toBe(0);
        if (!keep) model.dirty.clear();
      }
    }
  }

  expect(Buffer.compare(b.bytes.subarray(0, expected.length), expected)).toBe(0);
  for (const { device, ioasId, hwpt, model } of spaces) {
    if (model.attached) detachDevice(device.bound, NO_PASID);
    b.client.unmapAll(ioasId);
    b.client.destroy(hwpt);
    b.client.destroy(ioasId);
  }
  expect(b.host.audit().pinnedPages).toBe(0);
});
