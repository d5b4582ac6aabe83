// Which devices can be bound, and which page tables they can share. The software host decides by these functions, and
// whoever explains a refusal reads the same ones.
import { Errno } from "../uapi/index.ts";
import type { UnitDescription } from "../software/unit-description.ts";
import type { ReservedRegion } from "../software/unit.ts";
import type { Refusal } from "./refusal.ts";

/** What a page table asks of the units of the devices that it is attached to. */
export interface TableNeeds {
  readonly unitId: string;
  readonly model: UnitDescription["model"];
  /** A bit per page size that it may use. */
  readonly pageSizes: bigint;
  readonly apertureStart: bigint;
  readonly apertureLast: bigint;
  readonly dirtyBits: boolean;
  readonly enforcedCoherency: boolean;
  /** Page requests go to a fault queue. */
  readonly pageRequests: boolean;
}

export interface UnitFacts {
  readonly id: string;
  readonly description: UnitDescription;
}

const BIND = "VFIO_DEVICE_BIND_IOMMUFD";
const ATTACH = "VFIO_DEVICE_ATTACH_IOMMUFD_PT";

/** Why a device behind this unit, in a group whose interrupts are isolated or not, cannot be bound. */
export function bindRefusal(unit: UnitDescription, isolatedMsi: boolean): Refusal | undefined {
  if (unit.cacheCoherency === "none") {
    return {
      call: BIND,
      errno: Errno.EINVAL,
      because: "its unit does not snoop the caches, so DMA would not be coherent",
      remedy: 'a unit with cacheCoherency "snoop" or "enforced"',
    };
  }
  if (isolatedMsi) return undefined;
  return {
    call: BIND,
    errno: Errno.EPERM,
    because: "the interrupts of its group are not isolated, so it could forge another device's",
    remedy: "isolatedMsi true (interrupt remapping), or allow_unsafe_interrupts of the kernel's vfio_iommu_type1",
  };
}

/** Why a device behind this unit cannot be attached to such a page table. EINVAL makes a caller try the next table. */
export function attachRefusal(needs: TableNeeds, unit: UnitFacts): Refusal | undefined {
  const { description } = unit;
  const einval = (because: string, remedy: string): Refusal => ({ call: ATTACH, errno: Errno.EINVAL, because, remedy });
  if (needs.model !== description.model) {
    return einval(`the page table is ${needs.model}'s and its unit is ${description.model}`, "a page table of its own");
  }
  // An SMMU's tables carry numbers of that one SMMU (VMID, ASID).
  if (needs.model === "smmuv3" && needs.unitId !== unit.id) {
    return einval("a page table of one SMMU cannot be used by another", "a page table of its own");
  }
  if (needs.apertureLast > description.apertureLast || needs.apertureStart < description.apertureStart) {
    const because = `the page table translates up to ${hex(needs.apertureLast)} and its unit less`;
    // 7.2's riscv driver says so in another way than the others, and ends a search for tables.
    return { ...einval(because, "a page table of its own"), ...(needs.model === "riscv" && { errno: Errno.ENODEV }) };
  }
  // The other drivers take the smaller pages that are common to all.
  if (needs.model === "vt-d" && (needs.pageSizes & ~sizesOf(description)) !== 0n) {
    return einval("the page table may use larger pages than its unit has", "a page table of its own");
  }
  if (needs.dirtyBits && !description.dirtyTracking) {
    return einval("the page table has dirty bits and its unit cannot set them", "a page table without DIRTY_TRACKING");
  }
  if (needs.enforcedCoherency && description.cacheCoherency !== "enforced") {
    return einval("the page table enforces coherency and its unit cannot", "a page table made for this device first");
  }
  // The other drivers of 7.2 attach such a table and never report a fault.
  if (needs.pageRequests && needs.model === "vt-d" && !description.pageRequests) {
    return {
      call: ATTACH,
      errno: Errno.ENODEV,
      because: "the page table has a fault queue and its unit takes no page requests",
      remedy: "a page table without a fault queue",
    };
  }
  return undefined;
}

/** True when Linux refuses the regions of one device (EINVAL): interrupts either need no mapping, or one window of it. */
export function mixesMsiRegions(reserved: readonly ReservedRegion[]): boolean {
  const windows = reserved.filter((r) => r.kind === "sw-msi").length;
  return windows > 1 || (windows > 0 && reserved.some((r) => r.kind === "hw-msi"));
}

/** Why these guest-physical ranges cannot be mapped one to one for a device: its unit's reach, and its reserved regions. */
export function memoryRefusal(
  unit: UnitDescription,
  reserved: readonly ReservedRegion[],
  ranges: readonly { readonly start: bigint; readonly last: bigint }[],
): Refusal | undefined {
  const map = (range: { readonly start: bigint; readonly last: bigint }, because: string, remedy: string): Refusal => ({
    call: "IOMMU_IOAS_MAP",
    errno: Errno.EINVAL,
    because: `the guest's memory at ${hex(range.start)} to ${hex(range.last)} ${because}`,
    remedy,
  });
  for (const range of ranges) {
    if (range.start < unit.apertureStart || range.last > unit.apertureLast) {
      return map(range, "is past what its unit can translate", "less memory, or a unit with a wider aperture");
    }
    const hit = reserved.find((r) => r.kind !== "direct-relaxable" && r.start <= range.last && range.start <= r.last);
    if (hit === undefined) continue;
    const what = `meets its reserved region ${hex(hit.start)} to ${hex(hit.last)} (${hit.kind})`;
    return map(range, what, "memory that ends below it, or a unit without that region");
  }
  return undefined;
}

function hex(n: bigint): string {
  return `0x${n.toString(16)}`;
}

/** A device as far as attaching goes. */
export interface AttachSubject {
  /** Of the device and its unit. */
  readonly reserved: readonly ReservedRegion[];
  readonly name: string;
  readonly unit: UnitFacts;
  readonly group: { readonly id: number; readonly isolatedMsi: boolean };
}

/** A page table that a VMM would make for its memory. */
export interface PlannedTable {
  readonly needs: TableNeeds;
  readonly devices: readonly string[];
}

export interface AttachPlan {
  readonly tables: readonly PlannedTable[];
  readonly refusals: readonly { readonly device: string; readonly refusal: Refusal }[];
}

function msiRefusal(reserved: readonly ReservedRegion[]): Refusal | undefined {
  if (!mixesMsiRegions(reserved)) return undefined;
  return {
    call: ATTACH,
    errno: Errno.EINVAL,
    because: "its reserved regions name more than one way for interrupts",
    remedy: 'one region of kind "sw-msi", or only "hw-msi"',
  };
}

/**
 * Who makes page tables. `hwpt`: the VMM, which tries those there are, the newest first, and takes EINVAL for "the next one",
 * else makes one, with dirty bits when the unit has them. `ioas`: the kernel, oldest first, and without.
 */
export type TableMaker = "hwpt" | "ioas";

/** Where the devices end up when one VMM takes them all, in this order. */
export function planAttachments(devices: readonly AttachSubject[], maker: TableMaker = "hwpt"): AttachPlan {
  const tables: { needs: TableNeeds; devices: string[] }[] = [];
  const groups = new Map<number, { needs: TableNeeds; devices: string[] }>();
  const refusals: { device: string; refusal: Refusal }[] = [];
  for (const device of devices) {
    const { description, id } = device.unit;
    const refusal = bindRefusal(description, device.group.isolatedMsi) ?? msiRefusal(device.reserved);
    if (refusal !== undefined) {
      refusals.push({ device: device.name, refusal });
      continue;
    }
    // A group is attached as one.
    let table =
      groups.get(device.group.id) ??
      (maker === "hwpt" ? newestFirst(tables) : tables).find((t) => attachRefusal(t.needs, device.unit) === undefined);
    if (table === undefined) {
      const needs: TableNeeds = {
        unitId: id,
        model: description.model,
        pageSizes: sizesOf(description),
        apertureStart: description.apertureStart,
        apertureLast: description.apertureLast,
        dirtyBits: maker === "hwpt" && description.dirtyTracking,
        enforcedCoherency: description.cacheCoherency === "enforced",
        pageRequests: false,
      };
      tables.push((table = { needs, devices: [] }));
    }
    groups.set(device.group.id, table);
    table.devices.push(device.name);
  }
  return { tables, refusals };
}

function sizesOf({ pageSizes }: UnitDescription): bigint {
  return pageSizes.reduce((bitmap, bytes) => bitmap | BigInt(bytes), 0n);
}

function newestFirst<T>(list: readonly T[]): T[] {
  return [...list].reverse();
}
