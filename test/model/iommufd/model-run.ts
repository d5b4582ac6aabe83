// Random operations on a host and on naive spaces, side by side; any difference is thrown with the step that showed it.
import { SeededRng } from "../../../src/base/index.ts";
import {
  Access,
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  detachDevice,
  DeviceDma,
  DmaResult,
  Errno,
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
} from "../../../src/iommufd/index.ts";
import { CASES, differs, type Device, type Space, type Table } from "./model-space.ts";
import { LARGE_PAGES, NaiveSpace, NaiveTable, pinnedPages, type NaiveArea } from "./naive-space.ts";

const PAGE = 0x1000;
/** IOVAs of the run: large enough for four large pages. */
const IOVA_PAGES = 2048;
const TOP_PAGE = 2 ** 36;
const MEMORY_PAGES = 3072;
const ARENA_BYTES = 0x1_0000;
const FIXED = 1;
const WRITABLE = 2;
const READABLE = 4;

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
    const context = this.#caller.files.lookup(client.fd) as IommufdContext;
    const devices = [0, 1].map((n): Device => {
      const device = new DescribedDevice({ name: `d${number}${n}`, unit, group: makeGroup(2 * number + n) });
      const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: false });
      if (typeof bound === "number") throw new Error(`not bound: ${bound}`);
      return { bound, dma: new DeviceDma(this.#host.memory, device), table: undefined };
    });
    const pins: { first: number; count: number }[] = [];
    const access = Access.create(context, {
      pinsPages: true,
      onUnmap: (iova, lengthBytes) =>
        this.#unpin(space, Number(iova / BigInt(PAGE)), Number(lengthBytes / BigInt(PAGE))),
    });
    if (typeof access === "number") throw new Error(`no access: ${access}`);
    differs("attaching the access", access.attach(ioasId), 0);
    const naive = new NaiveSpace(this.#case.largePages);
    const space: Space = { naive, ioasId, tables: [], devices, access, pins };
    for (const hasDirtyBits of [true, true, false]) this.#addTable(space, hasDirtyBits);
    return space;
  }

  #addTable(space: Space, hasDirtyBits: boolean): void {
    const flags = hasDirtyBits ? HwptAllocFlag.DIRTY_TRACKING : 0;
    const id = this.#client.hwptAlloc({ deviceId: space.devices[0]!.bound.id, parentId: space.ioasId, flags });
    const table = { id, naive: new NaiveTable(hasDirtyBits) };
    space.tables.push(table);
    space.naive.tables.add(table.naive);
  }

  step(): void {
    const space = this.#pick(this.#spaces);
    switch (this.#rng.below(14)) {
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
      case 9:
        return this.#rng.below(4) === 0 ? this.#track(space) : this.#mapAnywhere(space);
      case 10:
        return this.#rng.below(8) === 0 ? this.#changeTables(space) : this.#query(space);
      case 11:
        return this.#accessCopy(space);
      case 12:
        return this.#pin(space);
      default:
        return differs("pinned pages", this.#host.audit().pinnedPages, pinnedPages(this.#spaces.map((s) => s.naive)));
    }
  }

  end(): void {
    differs("memory", Buffer.compare(this.#bytes.subarray(0, this.#expected.length), this.#expected), 0);
    for (const { naive, ioasId, tables, devices, access } of this.#spaces) {
      for (const { bound, table } of devices) differs("detaching", detachDevice(bound, NO_PASID), table !== undefined);
      const mapped = naive.areas.reduce((sum, a) => sum + a.count, 0);
      differs("unmapping all", this.#client.unmapAll(ioasId), BigInt(mapped * PAGE));
      for (const table of tables) this.#client.destroy(table.id);
      access.close();
      this.#client.destroy(ioasId);
      for (const { bound } of devices) unbindDevice(bound);
    }
    this.#client.close();
    const audit = this.#host.audit();
    differs("pinned pages", audit.pinnedPages, 0);
    differs("open contexts", audit.openContexts, 0);
    differs("accounts", audit.accountsClear, true);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#rng.below(list.length)]!;
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
    const from = this.#pick(this.#spaces);
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
    const device = this.#pick(space.devices);
    const { bound } = device;
    const table = this.#pick(space.tables);
    if (device.table === undefined) {
      differs("attach", attachDevice(bound, NO_PASID, table.id), table.id);
      device.table = table;
    } else if (this.#rng.below(2) === 0) {
      differs("replace", replaceDevice(bound, NO_PASID, table.id), table.id);
      device.table = table;
    } else {
      differs("detach", detachDevice(bound, NO_PASID), true);
      device.table = undefined;
    }
  }

  /** One table goes, if nobody is attached to it, and a new one comes, filled with all that is mapped. */
  #changeTables(space: Space): void {
    const table = this.#pick(space.tables);
    const { errno } = this.#client.attempt("destroy", { id: table.id });
    const isUsed = space.devices.some((d) => d.table === table);
    differs("destroying a page table", errno, isUsed ? Errno.EBUSY : 0);
    if (isUsed) return;
    space.tables.splice(space.tables.indexOf(table), 1);
    space.naive.tables.delete(table.naive);
    this.#addTable(space, table.naive.hasDirtyBits);
  }

  #page(space: Space): number {
    const { areas } = space.naive;
    const area = areas[this.#rng.below(Math.max(1, areas.length))];
    if (area === undefined || this.#rng.below(4) === 0) return this.#rng.below(IOVA_PAGES);
    return area.first + this.#rng.below(area.count);
  }

  /** Writes `bytes` to what should be behind an address; the answer that a device should get. */
  #expectWrite(space: Space, table: NaiveTable | undefined, first: number, offset: number, bytes: Uint8Array): number {
    const { naive } = space;
    for (let done = 0; done < bytes.length;) {
      const page = first + Math.floor((offset + done) / PAGE);
      const inPage = (offset + done) % PAGE;
      const n = Math.min(PAGE - inPage, bytes.length - done);
      const area = naive.at(page);
      if (area === undefined) return DmaResult.unmapped;
      if (!area.writable) return DmaResult.forbidden;
      this.#expected.set(bytes.subarray(done, done + n), (area.source + page - area.first) * PAGE + inPage);
      if (table !== undefined) naive.wrote(table, page);
      done += n;
    }
    return DmaResult.ok;
  }

  #someBytes(): Uint8Array {
    return new Uint8Array(1 + this.#rng.below(2 * PAGE)).fill(this.#rng.below(256));
  }

  #write(space: Space): void {
    const { dma, table } = this.#pick(space.devices);
    const first = this.#page(space);
    const offset = this.#rng.below(PAGE);
    const bytes = this.#someBytes();
    const want = table === undefined ? DmaResult.unmapped : this.#expectWrite(space, table.naive, first, offset, bytes);
    differs("DMA write", dma.write(BigInt(first * PAGE + offset), bytes), want);
  }

  #read(space: Space): void {
    const { dma, table } = this.#pick(space.devices);
    const page = this.#page(space);
    const bytes = new Uint8Array(PAGE);
    const area = table === undefined ? undefined : space.naive.at(page);
    differs("DMA read", dma.read(BigInt(page * PAGE), bytes), area === undefined ? DmaResult.unmapped : DmaResult.ok);
    if (area !== undefined) this.#compare(area, page, bytes);
  }

  #compare(area: NaiveArea, page: number, bytes: Uint8Array): void {
    const at = (area.source + page - area.first) * PAGE;
    differs("read bytes", Buffer.compare(bytes, this.#expected.subarray(at, at + PAGE)), 0);
  }

  /** A mediated device reads or writes: no table and no dirty bit knows of it. */
  #accessCopy(space: Space): void {
    const page = this.#page(space);
    if (this.#rng.below(2) === 0) {
      const bytes = new Uint8Array(PAGE);
      const area = space.naive.at(page);
      const rc = space.access.copy(undefined, BigInt(page * PAGE), bytes, false, true);
      differs("access read", rc, area === undefined ? -Errno.ENOENT : 0);
      if (area !== undefined) this.#compare(area, page, bytes);
      return;
    }
    const offset = this.#rng.below(PAGE);
    const bytes = this.#someBytes();
    const want = { 0: 0, 1: -Errno.ENOENT, 2: -Errno.EPERM }[this.#expectWrite(space, undefined, page, offset, bytes)];
    differs("access write", space.access.copy(undefined, BigInt(page * PAGE + offset), bytes, true, true), want);
  }

  /** Pins through the access, or gives a pin back; an unmap takes the rest. */
  #pin(space: Space): void {
    const { naive, access, pins } = space;
    const held = pins[this.#rng.below(Math.max(1, pins.length))];
    if (held !== undefined && this.#rng.below(2) === 0) {
      pins.splice(pins.indexOf(held), 1);
      access.unpin(BigInt(held.first * PAGE), BigInt(held.count * PAGE));
      return;
    }
    const first = this.#page(space);
    const count = 1 + this.#rng.below(6);
    let want = 0;
    for (let page = first; page < first + count && want === 0; page++) {
      const area = naive.at(page);
      if (area === undefined) want = -Errno.ENOENT;
      else if (!area.writable) want = -Errno.EPERM;
    }
    const got = access.pin(BigInt(first * PAGE), BigInt(count * PAGE), true);
    differs("pin", typeof got === "number" ? got : 0, want);
    if (want === 0) pins.push({ first, count });
  }

  #unpin({ access, pins }: Space, first: number, count: number): void {
    for (const pin of pins.filter((p) => p.first < first + count && first < p.first + p.count)) {
      pins.splice(pins.indexOf(pin), 1);
      access.unpin(BigInt(pin.first * PAGE), BigInt(pin.count * PAGE));
    }
  }

  #dirtyTable(space: Space): Table {
    return this.#pick(space.tables.filter((t) => t.naive.hasDirtyBits));
  }

  #track(space: Space): void {
    const on = this.#rng.below(3) > 0;
    const table = this.#dirtyTable(space);
    this.#client.setDirtyTracking(table.id, on);
    table.naive.setTracking(on);
  }

  #query(space: Space): void {
    const { first, count } = this.#rng.below(2) === 0 ? { first: 0, count: IOVA_PAGES } : this.#range(IOVA_PAGES);
    const keep = this.#rng.below(2) === 0;
    const table = this.#dirtyTable(space);
    const iova = BigInt(first * PAGE);
    const got = this.#client.getDirtyBitmap(table.id, iova, BigInt(count * PAGE), BigInt(PAGE), { keep });
    const want = new Uint8Array(Math.ceil(count / 8));
    for (const page of space.naive.query(table.naive, first, count, keep, this.#case.kernelQuirks)) {
      want[(page - first) >> 3]! |= 1 << ((page - first) & 7);
    }
    differs("dirty bitmap", Buffer.compare(got, want), 0);
  }
}
