// Driver-specific structures that a request points to.
import type { CallerMemory } from "../port.ts";
import { Errno, type AnyLayout } from "../uapi/index.ts";

type ValuesOf<L extends AnyLayout> = ReturnType<L["decode"]>;

const PAGE_SIZE = 4096;
const CHECK_CHUNK = 0x1_0000;

/** Zero when the caller's bytes are all zero; -E2BIG at the first that is not, -EFAULT at the first out of reach. */
function checkZero(memory: CallerMemory, va: bigint, lengthBytes: number): number {
  // Up to 4 GiB: words are looked at, not bytes, in large pieces as long as they can be read.
  const words = new Uint32Array(Math.ceil(Math.min(CHECK_CHUNK, lengthBytes) / 4));
  const piece = new Uint8Array(words.buffer);
  let most = CHECK_CHUNK;
  for (let done = 0; done < lengthBytes;) {
    const at = va + BigInt(done);
    const toBoundary = PAGE_SIZE - Number(at % BigInt(PAGE_SIZE));
    const count = Math.min(lengthBytes - done, most > PAGE_SIZE ? most : toBoundary);
    words.fill(0);
    if (!memory.read(at, piece.subarray(0, count))) {
      if (most === PAGE_SIZE) return -Errno.EFAULT;
      most = PAGE_SIZE;
      continue;
    }
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return -Errno.E2BIG;
    done += count;
  }
  return 0;
}

/** Reads a structure that may be older (shorter) or newer (longer, then zero past what is known) than ours. Zero or -errno. */
export function readVersioned(memory: CallerMemory, va: bigint, callerBytes: number, into: Uint8Array): number {
  const known = Math.min(callerBytes, into.length);
  into.fill(0);
  if (callerBytes > into.length) {
    const rc = checkZero(memory, va + BigInt(into.length), callerBytes - into.length);
    if (rc < 0) return rc;
  }
  return memory.read(va, known === into.length ? into : into.subarray(0, known)) ? 0 : -Errno.EFAULT;
}

/** A structure of a type known only to the unit's driver. */
export class UserData {
  readonly memory: CallerMemory;
  readonly type: number;
  readonly va: bigint;
  readonly lengthBytes: number;

  constructor(memory: CallerMemory, type: number, va: bigint, lengthBytes: number) {
    this.memory = memory;
    this.type = type;
    this.va = va;
    this.lengthBytes = lengthBytes;
  }

  /** The structure, when type and length fit; a negative errno otherwise. */
  read<L extends AnyLayout>(layout: L, type: number, minBytes: number): ValuesOf<L> | number {
    if (this.type !== type) return -Errno.EINVAL;
    if (this.lengthBytes < minBytes || this.lengthBytes > layout.lengthBytes) return -Errno.EINVAL;
    const bytes = new Uint8Array(layout.lengthBytes);
    const rc = readVersioned(this.memory, this.va, this.lengthBytes, bytes);
    return rc < 0 ? rc : (layout.decode(bytes) as ValuesOf<L>);
  }

  /** Writes the structure back, as much of it as the caller has room for. */
  write<L extends AnyLayout>(layout: L, values: Partial<ValuesOf<L>>): number {
    const bytes = layout.encode(values).subarray(0, this.lengthBytes);
    return this.memory.write(this.va, bytes) ? 0 : -Errno.EFAULT;
  }
}

/** An array of such structures, read entry by entry; `entryCount` becomes how many were handled. */
export class UserArray {
  readonly memory: CallerMemory;
  readonly type: number;
  readonly va: bigint;
  readonly entryBytes: number;
  entryCount: number;

  constructor(memory: CallerMemory, type: number, va: bigint, entryBytes: number, entryCount: number) {
    this.memory = memory;
    this.type = type;
    this.va = va;
    this.entryBytes = entryBytes;
    this.entryCount = entryCount;
  }

  entry(index: number): UserData {
    return new UserData(this.memory, this.type, this.va + BigInt(index * this.entryBytes), this.entryBytes);
  }

  /** All entries at once, each of any version; a negative errno when one cannot be read. */
  readAll<L extends AnyLayout>(layout: L, type: number): ValuesOf<L>[] | number {
    if (this.type !== type || this.entryCount === 0) return -Errno.EINVAL;
    const entries: ValuesOf<L>[] = [];
    const bytes = new Uint8Array(layout.lengthBytes);
    for (let i = 0; i < this.entryCount; i++) {
      const rc = readVersioned(this.memory, this.va + BigInt(i * this.entryBytes), this.entryBytes, bytes);
      if (rc < 0) return rc;
      entries.push(layout.decode(bytes) as ValuesOf<L>);
    }
    return entries;
  }
}
