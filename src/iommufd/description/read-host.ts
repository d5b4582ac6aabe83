// From the text of a host description to what it means: every unit whole, every device in its place. What contradicts
// itself is told with the line and column.
import { FormatError, parseJsonSource, type JsonPlace } from "../../format/index.ts";
import { nearestName } from "../../base/index.ts";
import type { ReservedRegion } from "../software/unit.ts";
import { unitProfiles, type UnitDescription } from "../software/unit-description.ts";
import { DescriptionError, type DescriptionProblem } from "./errors.ts";
import {
  deviceSchema,
  groupSchema,
  hostSchema,
  MIGRATION_ABILITIES,
  unitSchema,
  type DeviceEntry,
  type GroupEntry,
  type HostEntry,
  type MigrationAbility,
  type UnitEntry,
} from "./host-description.ts";

/** A kind of device that a description may name. */
export interface DescribableKind {
  readonly name: string;
  /** `pci`: behind a unit, named by its address. `mdev`: no unit and no group; it works through access objects. */
  readonly bus: "pci" | "mdev";
  /** The most that a device of this kind can be given. */
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
}

export interface HostUnit {
  readonly id: string;
  readonly profile: string;
  readonly description: UnitDescription;
}

export interface HostGroup {
  readonly id: number;
  readonly isolatedMsi: boolean;
}

export interface HostDevice {
  /** A PCI address, or the name of a mediated device. */
  readonly name: string;
  readonly kind: DescribableKind;
  /** Undefined for a mediated device. */
  readonly placement: { readonly unit: HostUnit; readonly group: HostGroup } | undefined;
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  /** Its own, besides those of its unit. */
  readonly reserved: readonly ReservedRegion[];
  readonly properties: Readonly<Record<string, string | number | boolean>>;
  readonly place: JsonPlace;
}

export interface HostPlan {
  readonly units: readonly HostUnit[];
  readonly groups: readonly HostGroup[];
  readonly devices: readonly HostDevice[];
}

/** Throws DescriptionError with everything that is wrong. */
export function readHostDescription(text: string, kinds: readonly DescribableKind[]): HostPlan {
  const problems: DescriptionProblem[] = [];
  const add = (place: JsonPlace, message: string): void => void problems.push({ place, message });
  let entry: HostEntry | undefined;
  try {
    entry = hostSchema.read(parseJsonSource(text), { add });
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DescriptionError("badSyntax", [], cause.message);
  }
  const plan = entry === undefined ? undefined : new Reader(entry, kinds, add).plan();
  if (problems.length > 0) {
    problems.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
    throw new DescriptionError("badContent", problems);
  }
  return plan!;
}

const DIGITS_OF_TABLE = 9;

class Reader {
  readonly #entry: HostEntry;
  readonly #kinds: readonly DescribableKind[];
  readonly #add: (place: JsonPlace, message: string) => void;
  readonly #units = new Map<string, HostUnit>();
  readonly #groups = new Map<number, HostGroup>();
  readonly #groupEntries: ReadonlyMap<number, GroupEntry>;
  readonly #groupUnits = new Map<number, string>();
  readonly #names = new Set<string>();

  constructor(entry: HostEntry, kinds: readonly DescribableKind[], add: (place: JsonPlace, message: string) => void) {
    this.#entry = entry;
    this.#kinds = kinds;
    this.#add = add;
    this.#groupEntries = new Map((entry.groups ?? []).map((g) => [g.id, g]));
  }

  plan(): HostPlan {
    for (const entry of this.#entry.units) this.#readUnit(entry);
    const devices = this.#entry.devices.map((entry) => this.#readDevice(entry));
    this.#checkGroups();
    return {
      units: [...this.#units.values()],
      groups: [...this.#groups.values()].sort((a, b) => a.id - b.id),
      devices: devices.filter((d) => d !== undefined),
    };
  }

  #readUnit(entry: UnitEntry): void {
    if (this.#units.has(entry.id)) {
      this.#add(unitSchema.placeOf(entry, "id"), `There is a unit "${entry.id}" already; another name would do`);
      return;
    }
    const { id, profile, aperture, ...changes } = entry;
    const description: UnitDescription = {
      ...unitProfiles[profile]!,
      ...changes,
      ...(aperture === undefined ? {} : { apertureStart: aperture.start, apertureLast: aperture.last }),
    };
    this.#checkPageSizes(entry, description);
    if (aperture !== undefined && aperture.start >= aperture.last) {
      this.#add(unitSchema.placeOf(entry, "aperture"), "The aperture ends before it starts; start below last would do");
    }
    for (const region of entry.reserved ?? []) this.#checkRegion(region, unitSchema.placeOf(entry, "reserved"));
    if (description.nesting && (description.model === "riscv" || description.model === "mock")) {
      const place = unitSchema.placeOf(entry, "nesting");
      this.#add(place, `Linux 7.2 nests nothing on "${description.model}"; nesting false would do`);
    }
    this.#units.set(id, { id, profile, description });
  }

  #checkPageSizes(entry: UnitEntry, description: UnitDescription): void {
    const sizes = description.pageSizes;
    const place = unitSchema.placeOf(entry, "pageSizes");
    const smallest = sizes[0];
    if (smallest !== 0x800 && smallest !== 0x1000) {
      this.#add(place, "The smallest page must be 2 KiB or 4 KiB: pages of programs are 4 KiB");
      return;
    }
    sizes.forEach((bytes, i) => {
      const level = Math.log2(bytes / smallest) / DIGITS_OF_TABLE;
      if (!Number.isInteger(level) || (i > 0 && bytes <= sizes[i - 1]!)) {
        this.#add(
          place,
          `A page of ${bytes} bytes does not fit; ${smallest} times 1, 512, 512 * 512, ascending, would do`,
        );
      }
    });
  }

  #checkRegion(region: ReservedRegion, place: JsonPlace): void {
    if (region.start > region.last)
      this.#add(place, "A reserved region ends before it starts; start below last would do");
  }

  #readDevice(entry: DeviceEntry): HostDevice | undefined {
    const place = deviceSchema.placeOf(entry, "kind");
    const kind = this.#kinds.find((k) => k.name === entry.kind);
    if (kind === undefined) {
      const names = this.#kinds.map((k) => k.name);
      const near = nearestName(entry.kind, names);
      const would = near === undefined ? `${names.join(", ")} exist` : `did you mean "${near}"?`;
      this.#add(place, `There is no kind of device "${entry.kind}"; ${would}`);
      return undefined;
    }
    const name = kind.bus === "pci" ? this.#pciName(entry, kind) : this.#mediatedName(entry, kind);
    this.#checkMigration(entry, kind);
    for (const region of entry.reserved ?? []) this.#checkRegion(region, deviceSchema.placeOf(entry, "reserved"));
    const placement = kind.bus === "pci" ? this.#placement(entry) : undefined;
    if (name === undefined || (kind.bus === "pci" && placement === undefined)) return undefined;
    return {
      name,
      kind,
      placement,
      migration: MIGRATION_ABILITIES.filter((ability) => entry.migration?.includes(ability)),
      dmaLog: entry.dmaLog ?? false,
      reserved: entry.reserved ?? [],
      properties: entry.properties ?? {},
      place,
    };
  }

  #pciName(entry: DeviceEntry, kind: DescribableKind): string | undefined {
    if (entry.id !== undefined) {
      this.#add(deviceSchema.placeOf(entry, "id"), `Kind "${kind.name}" is a PCI device; "bdf" names it`);
      return undefined;
    }
    if (entry.bdf === undefined) {
      this.#add(
        deviceSchema.placeOf(entry, "bdf"),
        `A PCI device lacks "bdf"; a PCI address such as "0000:01:00.0" would do`,
      );
      return undefined;
    }
    return this.#takeName(entry.bdf, deviceSchema.placeOf(entry, "bdf"));
  }

  #mediatedName(entry: DeviceEntry, kind: DescribableKind): string | undefined {
    for (const field of ["bdf", "unit", "group", "reserved"] as const) {
      if (entry[field] === undefined) continue;
      const what = field === "bdf" ? 'it has no PCI address; "id" names it' : "it stands behind no unit; leave it out";
      this.#add(deviceSchema.placeOf(entry, field), `Kind "${kind.name}" is a mediated device: ${what}`);
    }
    if (entry.id === undefined) {
      this.#add(deviceSchema.placeOf(entry, "id"), `A mediated device lacks "id"; a name such as "m0" would do`);
      return undefined;
    }
    return this.#takeName(entry.id, deviceSchema.placeOf(entry, "id"));
  }

  #takeName(name: string, place: JsonPlace): string | undefined {
    if (this.#names.has(name)) {
      this.#add(place, `There is a device "${name}" already; another name would do`);
      return undefined;
    }
    this.#names.add(name);
    return name;
  }

  #checkMigration(entry: DeviceEntry, kind: DescribableKind): void {
    const abilities = entry.migration ?? [];
    const place = deviceSchema.placeOf(entry, "migration");
    if (abilities.length > 0 && !abilities.includes("stop-copy")) {
      this.#add(place, `A device that migrates has "stop-copy" at least; add it, or leave "migration" out`);
    }
    for (const ability of abilities) {
      if (!kind.migration.includes(ability))
        this.#add(place, `Kind "${kind.name}" cannot do "${ability}"; leave it out`);
    }
    if (entry.dmaLog === true && !kind.dmaLog) {
      this.#add(deviceSchema.placeOf(entry, "dmaLog"), `Kind "${kind.name}" cannot log its DMA; false would do`);
    }
  }

  #placement(entry: DeviceEntry): HostDevice["placement"] {
    const place = deviceSchema.placeOf(entry, "unit");
    const ids = [...this.#units.keys()];
    const would = ids.length === 0 ? "describe one under units" : `${ids.map((u) => `"${u}"`).join(", ")} would do`;
    if (entry.unit === undefined) {
      this.#add(place, `A PCI device lacks "unit"; ${would}`);
      return undefined;
    }
    const unit = this.#units.get(entry.unit);
    if (unit === undefined) {
      this.#add(place, `There is no unit "${entry.unit}"; ${would}`);
      return undefined;
    }
    const id = entry.group ?? this.#freeGroup();
    const owner = this.#groupUnits.get(id);
    if (owner !== undefined && owner !== unit.id) {
      const where = deviceSchema.placeOf(entry, "group");
      this.#add(where, `Group ${id} stands behind unit "${owner}" and cannot be behind "${unit.id}" too`);
      return undefined;
    }
    this.#groupUnits.set(id, unit.id);
    const isolatedMsi = this.#groupEntries.get(id)?.isolatedMsi ?? unit.description.isolatedMsi;
    const group = this.#groups.get(id) ?? { id, isolatedMsi };
    this.#groups.set(id, group);
    return { unit, group };
  }

  /** The lowest number that no device names. */
  #freeGroup(): number {
    const named = new Set(this.#entry.devices.map((d) => d.group));
    let id = 1;
    while (named.has(id) || this.#groups.has(id)) id++;
    return id;
  }

  #checkGroups(): void {
    const seen = new Set<number>();
    for (const group of this.#entry.groups ?? []) {
      const place = groupSchema.placeOf(group, "id");
      if (seen.has(group.id)) this.#add(place, `Group ${group.id} is given twice; one entry would do`);
      else if (!this.#groups.has(group.id)) this.#add(place, `No device is in group ${group.id}; leave it out`);
      seen.add(group.id);
    }
  }
}
