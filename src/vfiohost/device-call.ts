// One call on a device file: who calls, and the structure that the argument points to, which says its own length first.
import { Errno, type AnyLayout, type Caller, type HostMemory } from "../iommufd/index.ts";

const TAIL_CHUNK = 4096;

export type ValuesOf<L extends AnyLayout> = ReturnType<L["decode"]>;

export class DeviceCall {
  readonly caller: Caller;
  /** Where the caller's structure lies. */
  readonly va: bigint;
  readonly #memory: HostMemory;

  constructor(caller: Caller, va: bigint, memory: HostMemory) {
    this.caller = caller;
    this.va = va;
    this.#memory = memory;
  }

  /** The same call, seen from further inside the structure. */
  inside(offset: number): DeviceCall {
    return new DeviceCall(this.caller, this.va + BigInt(offset), this.#memory);
  }

  /** Bytes at an offset from the structure's start; undefined when they are out of reach (EFAULT). */
  bytes(offset: number, lengthBytes: number): Uint8Array | undefined {
    const bytes = new Uint8Array(lengthBytes);
    return this.caller.memory.read(this.va + BigInt(offset), bytes) ? bytes : undefined;
  }

  /** The structure's first `lengthBytes`; what lies behind them reads 0. -EFAULT when they are out of reach. */
  values<L extends AnyLayout>(layout: L, lengthBytes: number = layout.lengthBytes): ValuesOf<L> | number {
    const bytes = new Uint8Array(layout.lengthBytes);
    if (!this.caller.memory.read(this.va, bytes.subarray(0, lengthBytes))) return -Errno.EFAULT;
    return layout.decode(bytes) as ValuesOf<L>;
  }

  /** As `values`, for a structure that begins with `argsz`: -EINVAL when it is said to be shorter than `minBytes`. */
  request<L extends AnyLayout>(layout: L, minBytes: number): (ValuesOf<L> & { argsz: number }) | number {
    const values = this.values(layout, minBytes);
    if (typeof values === "number") return values;
    const request = values as ValuesOf<L> & { argsz: number };
    return request.argsz < minBytes ? -Errno.EINVAL : request;
  }

  /** For a caller whose structure is newer: zero, -E2BIG when it says something unknown, or -EFAULT. */
  tailIsZero(knownBytes: number, callerBytes: number): number {
    for (let at = knownBytes; at < callerBytes; at += TAIL_CHUNK) {
      const tail = this.bytes(at, Math.min(TAIL_CHUNK, callerBytes - at));
      if (tail === undefined) return -Errno.EFAULT;
      if (tail.some((byte) => byte !== 0)) return -Errno.E2BIG;
    }
    return 0;
  }

  /** Writes the first `lengthBytes` of the structure back. Zero or -EFAULT. */
  reply(layout: AnyLayout, values: object, lengthBytes: number = layout.lengthBytes): number {
    if (this.#memory.failAt("reply")) return -Errno.EFAULT;
    return this.write(0, layout.encode(values).subarray(0, lengthBytes));
  }

  /** Zero or -EFAULT. */
  write(offset: number, bytes: Uint8Array): number {
    return this.caller.memory.write(this.va + BigInt(offset), bytes) ? 0 : -Errno.EFAULT;
  }
}

/** Structures that follow an answer, each with a header that points to the next. */
export interface InfoCapability {
  readonly id: number;
  readonly version: number;
  /** What follows the header. */
  readonly body: Uint8Array;
}

const HEADER_BYTES = 8;
/** So that the next structure is aligned. */
const ALIGN = 8;

/** The chain as bytes that lie `baseBytes` after the start of the answer. */
export function capabilityChain(capabilities: readonly InfoCapability[], baseBytes: number): Uint8Array {
  const starts: number[] = [];
  let end = 0;
  for (const { body } of capabilities) {
    starts.push(end);
    end += Math.ceil((HEADER_BYTES + body.length) / ALIGN) * ALIGN;
  }
  const chain = new Uint8Array(end);
  const view = new DataView(chain.buffer);
  capabilities.forEach(({ id, version, body }, i) => {
    const at = starts[i]!;
    const next = starts[i + 1];
    view.setUint16(at, id, true);
    view.setUint16(at + 2, version, true);
    view.setUint32(at + 4, next === undefined ? 0 : baseBytes + next, true);
    chain.set(body, at + HEADER_BYTES);
  });
  return chain;
}
