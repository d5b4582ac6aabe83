// Random operations on a host and on naive spaces, side by side; any difference is thrown with the step that showed it.
import { SeededRng } from "../../../src/base/index.ts";
import {
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  detachDevice,
  DeviceDma,
  DmaResult,
  HwptAllocFlag,
  IommufdClient,
  type IommufdContext,
  makeGroup,
  makeLocalCaller,
  NO_PASID,
  replaceDevice,
  SoftwareHost,
  unbindDevice,
  unitProfiles,
  type BoundDevice,
} from "../../../src/iommufd/index.ts";
import { LARGE_PAGES, NaiveSpace, NaiveTable } from "./naive-space.ts";

const PAGE = 0x1000;
/** IOVAs of the run: large enough for four large pages. */
const IOVA_PAGES = 2048;
const TOP_PAGE = 2 ** 36;
const MEMORY_PAGES = 3072;
const ARENA_BYTES = 0x1_0000;
const FIXED = 1;
const WRITABLE = 2;
const READABLE = 4;

/** The kinds of host that runs go through, one after the other. */
const CASES = [
  { profile: "vtd-ssads", largePages: true, kernelQuirks: false },
  { profile: "smmuv3-httu", largePages: true, kernelQuirks: true },
  { profile: "amd", largePages: false, kernelQuirks: false },
  { profile: "riscv-hwad", largePages: true, kernelQuirks: true },
] as const;

interface Space {
  readonly naive: NaiveSpace;
  readonly ioasId: number;
  readonly tables: readonly { readonly id: number; readonly naive: NaiveTable }[];
  readonly bound: BoundDevice;
  readonly dma: DeviceDma;
}

function differs(what: string, got: unknown, want: unknown): void {
  if (got !== want) throw new Error(`${what}: the host says ${String(got)}, the naive space ${String(want)}`);
}

/** Runs `steps` operations from `seed`; throws an Error that names the step. */
export function runModel(seed: number, steps: number): void {
  const run = new ModelRun(seed);
  for (let step = 0; step < steps; step++) {
    try {
      run.step();
    } catch (cause) {
      throw new Error(`seed ${seed}, step ${step}: ${(cause as Error).message}`, { cause });
    }
  }
  run.end();
}

class ModelRun {
  readonly #rng: SeededRng;
  readonly #case: (typeof CASES)[number];
  readonly #host: SoftwareHost;
  readonly #client: IommufdClient;
  readonly #bytes = new Uint8Array(MEMORY_PAGES * PAGE + ARENA_BYTES);
  /** What the caller's memory should hold. */
  readonly #expected = new Uint8Array(MEMORY_PAGES * PAGE);
  readonly #caller = makeLocalCaller({ bytes: this.#bytes });
  readonly #spaces: readonly Space[];

  constructor(seed: number) {
    this.#rng = new SeededRng(BigInt(seed));
    this.#case = CASES[seed % CASES.length]!;
    this.#host = new SoftwareHost({ kernelQuirks: this.#case.kernelQuirks });
    const at = MEMORY_PAGES * PAGE;
    const arena = { va: BigInt(at), bytes: this.#bytes.subarray(at) };
    this.#client = IommufdClient.open(this.#host.attach(this.#caller), arena);
    this.#spaces = [this.#space(1), this.#space(2)];
  }

  #space(number: number): Space {
    const client = this.#client;
    const ioasId = client.ioasAlloc();
    if (!this.#case.largePages) client.setLargePages(ioasId, false);
    const unit = new DescribedUnit(`u${number}`, unitProfiles[this.#case.profile]!);
    const device = new DescribedDevice({ name: `d${number}`, unit, group: makeGroup(number) });
    const context = this.#caller.files.lookup(client.fd) as IommufdContext;
    const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: false });
    if (typeof bound === "number") throw new Error(`not bound: ${bound}`);
    const tables = [true, false].map((hasDirtyBits) => {
      const flags = hasDirtyBits ? HwptAllocFlag.DIRTY_TRACKING : 0;
      const id = client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags });
      return { id, naive: new NaiveTable(hasDirtyBits) };
    });
    const naive = new NaiveSpace(
      tables.map((t) => t.naive),
      this.#case.largePages,
    );
    return { naive, ioasId, tables, bound, dma: new DeviceDma(this.#host.memory, device) };
  }

  step(): void {
    const space = this.#spaces[this.#rng.below(2)]!;
    switch (this.#rng.below(10)) {
      case 0:
      case 1:
        return this.#map(space);
      case 2:
        return this.#unmap(space);
      case 3:
        return this.#copy(space);
      case 4:
        return this.#attach(space);
      case 5:
      case 6:
        return this.#write(space);
      case 7:
        return this.#read(space);
      case 8:
        return this.#query(space);
      default:
        if (this.#rng.below(4) === 0) this.#track(space);
        else this.#mapAnywhere(space);
    }
  }

  end(): void {
    differs("memory", Buffer.compare(this.#bytes.subarray(0, this.#expected.length), this.#expected), 0);
    for (const { naive, ioasId, tables, bound } of this.#spaces) {
      differs("detaching", detachDevice(bound, NO_PASID), naive.attached !== undefined);
      const mapped = naive.areas.reduce((sum, a) => sum + a.count, 0);
      differs("unmapping all", this.#client.unmapAll(ioasId), BigInt(mapped * PAGE));
      for (const table of tables) this.#client.destroy(table.id);
      this.#client.destroy(ioasId);
      unbindDevice(bound);
    }
    this.#client.close();
    const audit = this.#host.audit();
    differs("pinned pages", audit.pinnedPages, 0);
    differs("open contexts", audit.openContexts, 0);
    differs("accounts", audit.accountsClear, true);
  }

  /** Mostly a few pages; now and then large ones, aligned or not. */
  #range(pages: number): { readonly first: number; readonly count: number } {
    const rng = this.#rng;
    if (rng.below(8) > 0) {
      const count = 1 + rng.below(8);
      return { first: rng.below(pages - count), count };
    }
    const count = LARGE_PAGES + (rng.below(2) === 0 ? 0 : rng.below(LARGE_PAGES));
    const first = rng.below(pages - count);
    return { first: rng.below(4) > 0 ? first - (first % LARGE_PAGES) : first, count };
  }

  #source(count: number): number {
    const source = this.#rng.below(MEMORY_PAGES - count);
    return count >= LARGE_PAGES && this.#rng.below(4) > 0 ? source - (source % LARGE_PAGES) : source;
  }

  #map(space: Space): void {
    const { first, count } = this.#range(IOVA_PAGES);
    const source = this.#source(count);
    const writable = this.#rng.below(4) > 0;
    const { errno } = this.#client.attempt("ioasMap", {
      flags: FIXED | READABLE | (writable ? WRITABLE : 0),
      ioas_id: space.ioasId,
      user_va: BigInt(source * PAGE),
      length: BigInt(count * PAGE),
      iova: BigInt(first * PAGE),
    });
    differs("map", errno, space.naive.map(first, count, source, writable));
  }

  #mapAnywhere(space: Space): void {
    const count = 1 + this.#rng.below(8);
    const source = this.#source(count);
    const { errno, reply } = this.#client.attempt("ioasMap", {
      flags: READABLE | WRITABLE,
      ioas_id: space.ioasId,
      user_va: BigInt(source * PAGE),
      length: BigInt(count * PAGE),
    });
    differs("map anywhere", errno, 0);
    const first = space.naive.choose(count, source, TOP_PAGE)!;
    differs("chosen IOVA", reply.iova, BigInt(first * PAGE));
    space.naive.map(first, count, source, true);
  }

  #unmap(space: Space): void {
    const { first, count } = this.#range(IOVA_PAGES);
    const request = { ioas_id: space.ioasId, iova: BigInt(first * PAGE), length: BigInt(count * PAGE) };
    const { errno, reply } = this.#client.attempt("ioasUnmap", request);
    const want = space.naive.unmap(first, count);
    differs("unmap", errno, want.errno);
    if (errno === 0) differs("unmapped bytes", reply.length, BigInt(want.unmapped * PAGE));
  }

  #copy(space: Space): void {
    const from = this.#spaces[this.#rng.below(2)]!;
    const { first, count } = this.#range(IOVA_PAGES);
    // Often a stretch that is mapped.
    const known = from.naive.areas[this.#rng.below(Math.max(1, from.naive.areas.length))];
    const sourceFirst = known === undefined || this.#rng.below(3) === 0 ? this.#rng.below(IOVA_PAGES) : known.first;
    const writable = this.#rng.below(4) > 0;
    const { errno } = this.#client.attempt("ioasCopy", {
      flags: FIXED | READABLE | (writable ? WRITABLE : 0),
      src_ioas_id: from.ioasId,
      src_iova: BigInt(sourceFirst * PAGE),
      dst_ioas_id: space.ioasId,
      dst_iova: BigInt(first * PAGE),
      length: BigInt(count * PAGE),
    });
    differs("copy", errno, space.naive.copyFrom(from.naive, sourceFirst, first, count, writable));
  }

  #attach(space: Space): void {
    const table = space.tables[this.#rng.below(2)]!;
    const { naive, bound } = space;
    if (naive.attached === undefined) {
      differs("attach", attachDevice(bound, NO_PASID, table.id), table.id);
      naive.attached = table.naive;
    } else if (this.#rng.below(2) === 0) {
      differs("replace", replaceDevice(bound, NO_PASID, table.id), table.id);
      naive.attached = table.naive;
    } else {
      differs("detach", detachDevice(bound, NO_PASID), true);
      naive.attached = undefined;
    }
  }

  #page(space: Space): number {
    const { areas } = space.naive;
    const area = areas[this.#rng.below(Math.max(1, areas.length))];
    if (area === undefined || this.#rng.below(4) === 0) return this.#rng.below(IOVA_PAGES);
    return area.first + this.#rng.below(area.count);
  }

  #write(space: Space): void {
    const { naive } = space;
    const first = this.#page(space);
    const offset = this.#rng.below(PAGE);
    const bytes = new Uint8Array(1 + this.#rng.below(2 * PAGE));
    bytes.fill(this.#rng.below(256));
    let want: number = DmaResult.ok;
    for (let done = 0; done < bytes.length && want === DmaResult.ok;) {
      const page = first + Math.floor((offset + done) / PAGE);
      const inPage = (offset + done) % PAGE;
      const n = Math.min(PAGE - inPage, bytes.length - done);
      const area = naive.attached === undefined ? undefined : naive.at(page);
      if (area === undefined) want = DmaResult.unmapped;
      else if (!area.writable) want = DmaResult.forbidden;
      else {
        this.#expected.set(bytes.subarray(done, done + n), (area.source + page - area.first) * PAGE + inPage);
        naive.wrote(page);
      }
      done += n;
    }
    differs("DMA write", space.dma.write(BigInt(first * PAGE + offset), bytes), want);
  }

  #read(space: Space): void {
    const { naive } = space;
    const page = this.#page(space);
    const bytes = new Uint8Array(PAGE);
    const area = naive.attached === undefined ? undefined : naive.at(page);
    const want = area === undefined ? DmaResult.unmapped : DmaResult.ok;
    differs("DMA read", space.dma.read(BigInt(page * PAGE), bytes), want);
    if (area === undefined) return;
    const at = (area.source + page - area.first) * PAGE;
    differs("read bytes", Buffer.compare(bytes, this.#expected.subarray(at, at + PAGE)), 0);
  }

  #track(space: Space): void {
    const on = this.#rng.below(3) > 0;
    const table = space.tables[0]!;
    this.#client.setDirtyTracking(table.id, on);
    table.naive.setTracking(on);
  }

  #query(space: Space): void {
    const { first, count } = this.#rng.below(2) === 0 ? { first: 0, count: IOVA_PAGES } : this.#range(IOVA_PAGES);
    const keep = this.#rng.below(2) === 0;
    const table = space.tables[0]!;
    const iova = BigInt(first * PAGE);
    const got = this.#client.getDirtyBitmap(table.id, iova, BigInt(count * PAGE), BigInt(PAGE), { keep });
    const want = new Uint8Array(Math.ceil(count / 8));
    for (const page of space.naive.query(table.naive, first, count, keep, this.#case.kernelQuirks)) {
      want[(page - first) >> 3]! |= 1 << ((page - first) & 7);
    }
    differs("dirty bitmap", Buffer.compare(got, want), 0);
  }
}
