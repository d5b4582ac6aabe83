// Another process's memory through /proc: bytes by /proc/PID/mem, and which object each page belongs to by /proc/PID/maps.
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import type { CallerMemory, FileBacking, MemorySpace, PageBacking, PageRun } from "../../iommufd/port.ts";

const PAGE_SIZE = 4096;

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly shared: boolean;
  /** Byte offset in the object. */
  readonly offset: number;
  /** Device and inode, as one key. */
  readonly object: string;
}

const MAPS_LINE = /^([0-9a-f]+)-([0-9a-f]+) (.)(.).(.) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+)/;

function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split("\n")) {
    const m = MAPS_LINE.exec(line);
    if (m === null) continue;
    mappings.push({
      start: parseInt(m[1]!, 16),
      end: parseInt(m[2]!, 16),
      readable: m[3] === "r",
      writable: m[4] === "w",
      shared: m[5] === "s",
      offset: parseInt(m[6]!, 16),
      object: `${parseInt(m[7]!, 16)}:${parseInt(m[8]!, 16)}:${m[9]!}`,
    });
  }
  return mappings;
}

/** The key of an open file, as the maps of its mappings have it. */
export function objectKeyOf(fd: number): string {
  const { dev, ino } = fstatSync(fd);
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return `${major}:${minor}:${ino}`;
}

/**
 * Everything that several processes can map: one backing per object, reached through a descriptor of our own where one can
 * be had, and else through any process that has it mapped.
 */
export class SharedObjects {
  readonly #objects = new Map<string, SharedObject>();
  readonly processes: Set<ProcessMemory> = new Set<ProcessMemory>();

  get(key: string): SharedObject {
    let object = this.#objects.get(key);
    if (object === undefined) {
      object = new SharedObject(this, key);
      this.#objects.set(key, object);
    }
    return object;
  }

  forget(key: string): void {
    this.#objects.delete(key);
  }
}

export class SharedObject implements FileBacking {
  readonly key: string;
  readonly #objectKey: string;
  readonly #all: SharedObjects;
  #fd = -1;
  #users = 0;

  constructor(all: SharedObjects, objectKey: string) {
    this.#all = all;
    this.#objectKey = objectKey;
    this.key = `object:${objectKey}`;
  }

  get lengthBytes(): number {
    return this.#fd < 0 ? 0 : fstatSync(this.#fd).size;
  }

  /** Takes a descriptor over; one is enough. */
  adopt(fd: number): void {
    this.#users++;
    if (this.#fd < 0) this.#fd = fd;
    else closeSync(fd);
  }

  close(): void {
    this.#release();
  }

  pinned(isPinned: boolean): void {
    if (!isPinned) {
      this.#release();
      return;
    }
    this.#users++;
    if (this.#fd < 0) this.#fd = this.#openThroughProcess();
  }

  #release(): void {
    if (--this.#users > 0) return;
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#all.forget(this.#objectKey);
  }

  /** Needs a capability; without it the processes themselves must stay. */
  #openThroughProcess(): number {
    for (const process of this.#all.processes) {
      const link = process.linkTo(this.#objectKey);
      if (link === undefined) continue;
      try {
        return openSync(link, "r+");
      } catch {
        continue;
      }
    }
    return -1;
  }

  read(offset: number, into: Uint8Array): boolean {
    if (this.#fd >= 0) {
      try {
        return readSync(this.#fd, into, 0, into.length, offset) === into.length;
      } catch {
        return false;
      }
    }
    for (const process of this.#all.processes) {
      const va = process.addressOf(this.#objectKey, offset, into.length);
      if (va !== undefined && process.read(va, into)) return true;
    }
    return false;
  }

  write(offset: number, from: Uint8Array): boolean {
    if (this.#fd >= 0) {
      try {
        return writeSync(this.#fd, from, 0, from.length, offset) === from.length;
      } catch {
        return false;
      }
    }
    for (const process of this.#all.processes) {
      const va = process.addressOf(this.#objectKey, offset, from.length);
      if (va !== undefined && process.write(va, from)) return true;
    }
    return false;
  }
}

export class ProcessMemory implements CallerMemory {
  readonly space: MemorySpace;
  readonly #pid: number;
  readonly #objects: SharedObjects;
  readonly #private: PageBacking;
  #fd: number;
  #mappings: readonly Mapping[] | undefined;

  /** Throws what open(2) says when the process is gone or not ours to read. */
  constructor(objects: SharedObjects, pid: number, spaceId: number) {
    this.#pid = pid;
    this.#objects = objects;
    this.space = { id: spaceId };
    this.#fd = openSync(`/proc/${pid}/mem`, "r+");
    this.#private = {
      key: `private:${spaceId}`,
      read: (offset, into) => this.read(BigInt(offset), into),
      write: (offset, from) => this.write(BigInt(offset), from),
    };
    objects.processes.add(this);
  }

  close(): void {
    this.#objects.processes.delete(this);
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** The process may have changed its mappings: forget them. */
  newCall(): void {
    this.#mappings = undefined;
  }

  read(va: bigint, into: Uint8Array): boolean {
    return this.#transfer(readSync, va, into);
  }

  write(va: bigint, from: Uint8Array): boolean {
    return this.#transfer(writeSync, va, from);
  }

  #transfer(
    call: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => number,
    va: bigint,
    bytes: Uint8Array,
  ): boolean {
    if (this.#fd < 0 || va >= 1n << 47n) return false;
    const at = Number(va);
    try {
      for (let done = 0; done < bytes.length;) {
        const n = call(this.#fd, bytes, done, bytes.length - done, at + done);
        if (n <= 0) return false;
        done += n;
      }
      return true;
    } catch {
      return false;
    }
  }

  pages(va: bigint, pageCount: number, forWriting: boolean): readonly PageRun[] | undefined {
    if (va >= 1n << 47n) return undefined;
    const mappings = this.#maps();
    const runs: PageRun[] = [];
    let at = Number(va);
    const end = at + pageCount * PAGE_SIZE;
    for (let i = firstEndingAfter(mappings, at); at < end; i++) {
      const m = mappings[i];
      if (m === undefined || m.start > at || !(forWriting ? m.writable : m.readable)) return undefined;
      const to = Math.min(end, m.end);
      const backing = m.shared ? this.#objects.get(m.object) : this.#private;
      runs.push({ backing, offset: m.shared ? m.offset + (at - m.start) : at, pageCount: (to - at) / PAGE_SIZE });
      at = to;
    }
    return runs;
  }

  /** Where an object's bytes are mapped here, if they are in one mapping. */
  addressOf(object: string, offset: number, lengthBytes: number): bigint | undefined {
    for (const m of this.#maps()) {
      if (!m.shared || m.object !== object || offset < m.offset) continue;
      if (offset + lengthBytes <= m.offset + (m.end - m.start)) return BigInt(m.start + (offset - m.offset));
    }
    return undefined;
  }

  /** A path that opens an object mapped here. */
  linkTo(object: string): string | undefined {
    const m = this.#maps().find((x) => x.shared && x.object === object);
    return m === undefined ? undefined : `/proc/${this.#pid}/map_files/${m.start.toString(16)}-${m.end.toString(16)}`;
  }

  #maps(): readonly Mapping[] {
    if (this.#fd < 0) return [];
    if (this.#mappings === undefined) {
      try {
        this.#mappings = parseMaps(readFileSync(`/proc/${this.#pid}/maps`, "latin1"));
      } catch {
        this.#mappings = [];
      }
    }
    return this.#mappings;
  }
}

function firstEndingAfter(mappings: readonly Mapping[], at: number): number {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (mappings[mid]!.end > at) high = mid;
    else low = mid + 1;
  }
  return low;
}
