// What a host description says: units, groups, devices. The tables below are the one place where its fields are declared;
// reading, JSON Schema and documentation are made from them.
import { unitModels, unitProfiles, type UnitModel } from "../software/unit-description.ts";
import type { ReservedRegion } from "../software/unit.ts";
import {
  address,
  integer,
  listOf,
  needed,
  oneOf,
  optional,
  record,
  sizeBytes,
  text,
  yesOrNo,
  type RecordSchema,
  type Schema,
} from "./schema.ts";

/** What a device can do when it migrates; the others need `stop-copy`. */
export const MIGRATION_ABILITIES = ["stop-copy", "p2p", "pre-copy"] as const;
export type MigrationAbility = (typeof MIGRATION_ABILITIES)[number];

export interface ApertureEntry {
  readonly start: bigint;
  readonly last: bigint;
}

/** A profile's fields, each of which a description may change. */
export interface UnitOverrides {
  readonly model?: UnitModel;
  readonly pageSizes?: readonly number[];
  readonly aperture?: ApertureEntry;
  readonly dirtyTracking?: boolean;
  readonly nesting?: boolean;
  readonly pasidBits?: number;
  readonly pageRequests?: boolean;
  readonly ats?: boolean;
  readonly cacheCoherency?: "none" | "snoop" | "enforced";
  readonly isolatedMsi?: boolean;
  readonly reserved?: readonly ReservedRegion[];
}

export interface UnitEntry extends UnitOverrides {
  readonly id: string;
  readonly profile: string;
}

export interface GroupEntry {
  readonly id: number;
  readonly isolatedMsi?: boolean;
}

export interface DeviceEntry {
  readonly bdf?: string;
  readonly id?: string;
  readonly kind: string;
  readonly unit?: string;
  readonly group?: number;
  readonly migration?: readonly MigrationAbility[];
  readonly dmaLog?: boolean;
  readonly reserved?: readonly ReservedRegion[];
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

export interface HostEntry {
  readonly units: readonly UnitEntry[];
  readonly groups?: readonly GroupEntry[];
  readonly devices: readonly DeviceEntry[];
}

const name = text('a name such as "u0" (letters, digits, dash, underscore)', /^[A-Za-z][A-Za-z0-9_-]{0,31}$/);
const bdf = text('a PCI address such as "0000:01:00.0"', /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/);
const groupId = integer(0, 65_535);

export const apertureSchema: RecordSchema<ApertureEntry> = record("An aperture", {
  start: needed(address, "The first IOVA that can be translated."),
  last: needed(address, "The last one."),
});

export const reservedSchema: RecordSchema<ReservedRegion> = record("A reserved region", {
  start: needed(address, "The first IOVA that must not be mapped."),
  last: needed(address, "The last one."),
  kind: needed(
    oneOf(["reserved", "direct", "direct-relaxable", "hw-msi", "sw-msi"]),
    "Why: `hw-msi` is where interrupts are written, `sw-msi` where they get mapped; `direct-relaxable` is not enforced.",
  ),
});

/** Values for a kind's own properties; the kind checks them. */
const properties: Schema<Readonly<Record<string, string | number | boolean>>> = {
  wanted: "an object of texts, numbers, and true or false",
  json: { type: "object", additionalProperties: { type: ["string", "number", "boolean"] } },
  read(node, problems) {
    if (node.kind !== "object") {
      problems.add(node.place, `Properties are ${this.wanted}`);
      return undefined;
    }
    const entries: [string, string | number | boolean][] = [];
    for (const { key, value } of node.members) {
      if (value.kind === "string" || value.kind === "number" || value.kind === "boolean") {
        entries.push([key, value.value]);
      } else {
        problems.add(value.place, `A property is a text, a number, true or false`);
      }
    }
    return entries.length === node.members.length ? Object.fromEntries(entries) : undefined;
  },
};

export const unitSchema: RecordSchema<UnitEntry> = record("A unit", {
  id: needed(name, "The unit's name, by which devices refer to it."),
  profile: needed(
    oneOf(Object.keys(unitProfiles)),
    "What real unit it is like; the other fields change single abilities.",
  ),
  model: optional(oneOf(unitModels), "Whose registers and structures programs see."),
  pageSizes: optional(listOf(sizeBytes), "Sizes of I/O pages, ascending: the smallest, and 512 times the one before."),
  aperture: optional(apertureSchema, "The IOVAs that it can translate."),
  dirtyTracking: optional(yesOrNo, "Whether page tables can have dirty bits."),
  nesting: optional(yesOrNo, "Whether a guest's page table can lie on one of the host's."),
  pasidBits: optional(integer(0, 20), "log2 of how many PASIDs a device can use; 0 for none."),
  pageRequests: optional(yesOrNo, "Whether devices can ask for pages (PRI)."),
  ats: optional(yesOrNo, "Whether devices can cache translations (ATS)."),
  cacheCoherency: optional(
    oneOf(["none", "snoop", "enforced"]),
    "`none`: devices behind it cannot be bound; `enforced`: even no-snoop requests are coherent.",
  ),
  isolatedMsi: optional(yesOrNo, "Whether interrupts of one device can be told from another's."),
  reserved: optional(listOf(reservedSchema), "Regions that every device behind it must leave alone."),
});

export const groupSchema: RecordSchema<GroupEntry> = record("A group", {
  id: needed(groupId, "The number that devices refer to."),
  isolatedMsi: optional(yesOrNo, "As of the unit, for this group alone."),
});

export const deviceSchema: RecordSchema<DeviceEntry> = record("A device", {
  bdf: optional(bdf, "The address of a PCI device."),
  id: optional(name, "The name of a mediated device."),
  kind: needed(text('a kind of device such as "dma-engine"', /^[a-z][a-z0-9-]*$/), "Which device model it is."),
  unit: optional(name, "The unit that a PCI device stands behind."),
  group: optional(groupId, "Devices of one group cannot be told apart by the unit; a group of its own when absent."),
  migration: optional(listOf(oneOf(MIGRATION_ABILITIES)), "How it can migrate; it cannot when absent or empty."),
  dmaLog: optional(yesOrNo, "Whether the device itself can log what it writes."),
  reserved: optional(listOf(reservedSchema), "Regions that this device must leave alone."),
  properties: optional(properties, "What the kind of device can be told besides."),
});

export const hostSchema: RecordSchema<HostEntry> = record("A host description", {
  units: needed(listOf(unitSchema), "The IOMMU units."),
  groups: optional(listOf(groupSchema), "Groups that differ from their unit; the others need no entry."),
  devices: needed(listOf(deviceSchema), "The devices."),
});

/** The whole as a JSON Schema, for editors. */
export function hostJsonSchema(): object {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Ratite host description",
    ...hostSchema.json,
  };
}
