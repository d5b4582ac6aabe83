// One open of /dev/iommu: its objects, and the rule by which every ioctl is taken apart before its own code sees it.
import { assert } from "../../base/index.ts";
import { PollEvent, type Caller, type HostFile, type HostMapping, type MapRequest, MapProtection } from "../port.ts";
import { Errno, IOMMUFD_CMD_BASE, ioctlCommand, type IoctlRow } from "../uapi/index.ts";
import type { AccountMode } from "./accounting.ts";
import type { ContextGroup } from "./bound-device.ts";
import { Call } from "./call.ts";
import type { HostMemory } from "./host-memory.ts";
import { Ioas } from "./ioas.ts";
import { ObjectTable, type IommufdObject } from "./objects.ts";
import type { SwMsiPage } from "./sw-msi.ts";
import type { DeviceGroup } from "./unit.ts";
import { readVersioned } from "./user-data.ts";

/** What answers one ioctl number. */
export interface IoctlHandler {
  readonly row: IoctlRow;
  readonly run: (call: Call) => number;
}

/** What answers which number. */
export interface IoctlTable {
  /** From 0x80 on; the places between are ENOTTY. */
  readonly handlers: readonly (IoctlHandler | undefined)[];
  /** Takes the numbers outside. */
  readonly others: (context: IommufdContext, caller: Caller, command: number, argument: bigint) => number;
}

export function makeIoctlTable(handlers: readonly IoctlHandler[], others: IoctlTable["others"]): IoctlTable {
  const table: (IoctlHandler | undefined)[] = [];
  for (const handler of handlers) {
    const at = handler.row.nr - IOMMUFD_CMD_BASE;
    while (table.length <= at) table.push(undefined);
    table[at] = handler;
  }
  return { handlers: table, others };
}

/** A region of an object that the caller may map. */
interface MapRegion {
  readonly owner: IommufdObject;
  readonly bytes: Uint8Array;
}

export interface ContextOptions {
  readonly memory: HostMemory;
  readonly ioctls: IoctlTable;
  /** Reproduce what 7.2 gets wrong. */
  readonly kernelQuirks: boolean;
  readonly accountMode: AccountMode;
  readonly onClosed: () => void;
}

const PAGE = 4096n;

export class IommufdContext implements HostFile {
  readonly memory: HostMemory;
  readonly kernelQuirks: boolean;
  readonly objects: ObjectTable;
  readonly groups: Map<DeviceGroup, ContextGroup> = new Map<DeviceGroup, ContextGroup>();
  readonly swMsi: SwMsiPage[] = [];
  accountMode: AccountMode;
  /** What the VFIO type 1 calls work on. */
  vfioIoas: Ioas | undefined;
  readonly #ioctls: IoctlTable;
  readonly #onClosed: () => void;
  readonly #regions = new Map<bigint, MapRegion>();
  #references = 1;

  constructor(options: ContextOptions) {
    this.memory = options.memory;
    this.kernelQuirks = options.kernelQuirks;
    this.accountMode = options.accountMode;
    this.#ioctls = options.ioctls;
    this.#onClosed = options.onClosed;
    this.objects = new ObjectTable(options.memory);
  }

  /** Descriptors, bound devices, accesses and event queues keep a context open. */
  get(): void {
    this.#references++;
  }

  put(): void {
    if (--this.#references > 0) return;
    this.objects.destroyAll();
    assert(this.groups.size === 0, "a closed context has no groups");
    this.#onClosed();
  }

  release(): void {
    this.put();
  }

  newIoas(): Ioas {
    return new Ioas(this.memory, (ioas) => {
      if (this.vfioIoas === ioas) this.vfioIoas = undefined;
    });
  }

  ioas(id: number): Ioas | undefined {
    return this.objects.get<Ioas>(id, "ioas");
  }

  /** Undoes an object that was never published. */
  abort(object: IommufdObject): void {
    object.destroy();
    this.objects.abandon(object);
  }

  ioctl(caller: Caller, command: number, argument: bigint): number {
    const nr = command & 0xff;
    const at = nr - IOMMUFD_CMD_BASE;
    const { handlers, others } = this.#ioctls;
    if (at < 0 || at >= handlers.length) return others(this, caller, command, argument);
    const size = new Uint8Array(4);
    if (!caller.memory.read(argument, size)) return -Errno.EFAULT;
    const callerBytes = (size[0]! | (size[1]! << 8) | (size[2]! << 16) | (size[3]! << 24)) >>> 0;
    const handler = handlers[at];
    if (handler === undefined || ioctlCommand(nr) !== command) return -Errno.ENOTTY;
    const row = handler.row;
    if (callerBytes < row.minBytes) return -Errno.EINVAL;
    const bytes = new Uint8Array(row.layout.lengthBytes);
    const rc = readVersioned(caller.memory, argument, callerBytes, bytes);
    if (rc < 0) return rc;
    const request = row.layout.decode(bytes);
    if (!meetsTable(row, request)) return -Errno.EOPNOTSUPP;
    return handler.run(new Call(this, caller, argument, request, row.layout, callerBytes));
  }

  /** Everything that programs could tell apart, as plain data. */
  snapshot(): object {
    return {
      objects: this.objects.snapshot(),
      groups: [...this.groups.values()].map((group) => group.snapshot()),
      swMsi: this.swMsi.map((page) => ({ ...page })),
      accountMode: this.accountMode,
      vfioIoas: this.vfioIoas?.id,
      regions: [...this.#regions].map(([offset, { owner, bytes }]) => [offset, owner.id, bytes.length]),
      references: this.#references,
    };
  }

  /** Offers `bytes` to be mapped; the offset to pass to mmap. The owner stays alive as long as a mapping does. */
  addRegion(owner: IommufdObject, bytes: Uint8Array): bigint {
    let offset = PAGE;
    for (;;) {
      const clash = [...this.#regions].find(
        ([start, r]) => start < offset + BigInt(bytes.length) && offset < start + BigInt(r.bytes.length),
      );
      if (clash === undefined) break;
      offset = clash[0] + BigInt(clash[1].bytes.length);
    }
    this.#regions.set(offset, { owner, bytes });
    return offset;
  }

  removeRegion(offset: bigint): void {
    this.#regions.delete(offset);
  }

  mmap(_caller: Caller, request: MapRequest): HostMapping | number {
    if (request.lengthBytes % Number(PAGE) !== 0 || !request.shared) return -Errno.EINVAL;
    if ((request.protection & MapProtection.EXEC) !== 0) return -Errno.EPERM;
    const region = this.#regions.get(request.offset);
    if (region === undefined || region.bytes.length !== request.lengthBytes) return -Errno.ENXIO;
    region.owner.users++;
    let live = true;
    return {
      bytes: region.bytes,
      release() {
        if (live) region.owner.users--;
        live = false;
      },
    };
  }

  read(): number {
    return -Errno.EINVAL;
  }

  write(): number {
    return -Errno.EINVAL;
  }

  poll(): number {
    return PollEvent.IN | PollEvent.OUT;
  }
}

/** The checks that the ioctl table states. */
function meetsTable(row: IoctlRow, decoded: object): boolean {
  const request = decoded as Readonly<Record<string, unknown>>;
  if (row.knownFlags !== undefined && ((request["flags"] as number) & ~row.knownFlags) !== 0) return false;
  if (row.needsType === true && request["type"] === 0) return false;
  for (const field of row.reserved ?? []) {
    const value = request[field];
    if (value instanceof Uint8Array ? value.some((b) => b !== 0) : value !== 0) return false;
  }
  return true;
}
