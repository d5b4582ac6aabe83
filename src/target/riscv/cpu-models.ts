// CPU models by QEMU's names, and what a model with its properties comes to; the device tree states exactly that.
import { VmError } from "../../base/index.ts";
import {
  aliases,
  contradictions,
  deprecatedNames,
  features,
  groups,
  implications,
  profiles,
  refusals,
  type Profile,
} from "./cpu-features.ts";

export class CpuError extends VmError<"unknownModel" | "unknownFeature" | "missingFeature" | "unsupportedFeature"> {
  override readonly room = "target/riscv";
}

export interface CpuModel {
  readonly name: string;
  readonly description: string;
  /** What it starts with, before properties and implications. */
  readonly features: readonly string[];
  readonly profile?: string;
  readonly satpMode: SatpMode;
}

const satpModes = ["none", "sv39", "sv48", "sv57"] as const;
type SatpMode = (typeof satpModes)[number];
/** Values of satp.MODE. */
const satpNumbers: Readonly<Record<SatpMode, number>> = { none: 0, sv39: 8, sv48: 9, sv57: 10 };
const isSatpMode = (name: string): name is SatpMode => name !== "none" && satpModes.includes(name as SatpMode);

const chosen = (pick: (f: (typeof features)[number]) => boolean): string[] => features.filter(pick).map((f) => f.name);
/** What is there without its being an extension; also without its being asked for. */
const bare = ["i", "mmu", "pmp", "sdtrig"];

export const cpuModels: readonly CpuModel[] = [
  {
    name: "rv64",
    description: "QEMU's default CPU, without the hypervisor extension",
    features: chosen((f) => f.usual === true),
    satpMode: "sv57",
  },
  {
    name: "max",
    description: "Everything that is implemented",
    features: chosen((f) => f.kind !== "marker" && f.optIn !== true),
    satpMode: "sv57",
  },
  {
    name: "rva22u64",
    description: "Profile RVA22U64: no supervisor mode",
    features: bare,
    profile: "rva22u64",
    satpMode: "none",
  },
  { name: "rva22s64", description: "Profile RVA22S64", features: bare, profile: "rva22s64", satpMode: "none" },
  { name: "rv64i", description: "RV64I alone; turn extensions on one by one", features: bare, satpMode: "none" },
];

const featureNames: ReadonlySet<string> = new Set(features.filter((f) => f.kind !== "marker").map((f) => f.name));

/** Names of the properties that `ext=on|off` may set. */
export const cpuFeatureNames: readonly string[] = [
  ...featureNames,
  ...Object.keys(groups).filter((name) => !featureNames.has(name)),
  ...satpModes.slice(1),
  ...profiles.map((profile) => profile.name),
];

export interface CpuFeatures {
  has(extension: string): boolean;
  readonly isa: { readonly base: string; readonly extensions: readonly string[]; readonly mmuType: string };
  /** Highest satp.MODE: 8 (Sv39), 9, 10, or 0 when there is no MMU. */
  readonly satpModes: number;
  /** What an operator should know of a combination that is allowed. */
  readonly warnings: readonly string[];
}

/** A model's features while its properties are applied. */
class Draft {
  readonly enabled: Set<string>;
  /** What the operator or a profile decided, which implications do not change. */
  readonly decided = new Map<string, boolean>();
  readonly satp = new Map<SatpMode, boolean>();
  readonly warnings: string[] = [];

  constructor(names: readonly string[]) {
    this.enabled = new Set(names);
  }

  set(name: string, on: boolean): void {
    this.decided.set(name, on);
    if (on) this.enabled.add(name);
    else this.enabled.delete(name);
  }

  setProfile(profile: Profile, on: boolean): void {
    const parent = profiles.find((each) => each.name === profile.parent);
    if (parent !== undefined) this.setProfile(parent, on);
    // Without its profile a CPU still has the base ISA.
    for (const name of profile.features) if (on || name !== "i") this.set(name, on);
    if (profile.satpMode !== undefined) this.satp.set(profile.satpMode, on);
  }

  /** Enables what is implied and not decided otherwise. */
  imply(name: string): void {
    if (!this.decided.has(name)) this.enabled.add(name);
  }

  has(names: string): boolean {
    return names.split("+").every((name) => this.enabled.has(name));
  }
}

/** Resolves a model and its `ext=on|off` settings; throws `CpuError` naming what is unknown, refused or contradictory. */
export function cpuFeatures(model: string, settings: Readonly<Record<string, boolean>>): CpuFeatures {
  const found = cpuModels.find((m) => m.name === model);
  if (found === undefined) {
    const reason = Object.hasOwn(refusals, model) ? `: ${refusals[model]}` : "";
    const known = cpuModels.map((m) => m.name).join(", ");
    throw new CpuError("unknownModel", `There is no CPU model "${model}"${reason}; known are ${known}`, {
      subject: model,
    });
  }
  const draft = new Draft(found.features);
  const profile = profiles.find((each) => each.name === found.profile);
  if (profile !== undefined) draft.setProfile(profile, true);
  for (const [name, on] of Object.entries(settings)) applySetting(draft, model, presentName(draft, name), on);
  applyGroups(draft);
  for (let before = -1; before !== draft.enabled.size;) {
    before = draft.enabled.size;
    for (const [name, implied] of implications) if (draft.has(name)) implied.forEach((each) => draft.imply(each));
  }
  refuseContradictions(draft, settings);
  addMarkers(draft, found.features !== bare);
  const satp = draft.enabled.has("mmu") && draft.enabled.has("s") ? chooseSatpMode(draft, found.satpMode) : "none";
  return describe(draft, satp);
}

/** A property's name today. */
function presentName(draft: Draft, name: string): string {
  if (!deprecatedNames.includes(name)) return aliases[name] ?? name;
  const present = name.toLowerCase();
  draft.warnings.push(`CPU property '${name}' is deprecated. Please use '${present}' instead`);
  return present;
}

function applySetting(draft: Draft, model: string, name: string, on: boolean): void {
  const profile = profiles.find((each) => each.name === name);
  if (profile !== undefined) draft.setProfile(profile, on);
  else if (isSatpMode(name)) draft.satp.set(name, on);
  else if (featureNames.has(name) || Object.hasOwn(groups, name)) draft.set(name, on);
  else if (!Object.hasOwn(refusals, name)) {
    const message = `CPU "${model}" has no property "${name}"; known are ${cpuFeatureNames.join(", ")}`;
    throw new CpuError("unknownFeature", message, { subject: name });
  } else if (on) {
    throw new CpuError("unsupportedFeature", `CPU property "${name}" cannot be turned on: ${refusals[name]}`, {
      subject: name,
    });
  }
}

function applyGroups(draft: Draft): void {
  for (const [name, members] of Object.entries(groups)) {
    if (!draft.enabled.has(name)) continue;
    for (const member of members) {
      draft.imply(member);
      if (!draft.enabled.has(member)) {
        draft.warnings.push(`RV${name.toUpperCase()} mandates disabled extension ${member}`);
      }
    }
  }
}

function refuseContradictions(draft: Draft, settings: Readonly<Record<string, boolean>>): void {
  const refuse = (message: string, subject: string): never => {
    throw new CpuError("missingFeature", message, { subject });
  };
  if (!draft.enabled.has("i")) refuse("Either I or E extension must be set", "i");
  for (const { has, lacks, message } of contradictions) {
    if (draft.enabled.has(has) && !draft.enabled.has(lacks)) refuse(message, has);
  }
  for (const feature of features) {
    const missing = feature.needs?.find((need) => !draft.enabled.has(need));
    if (missing === undefined || !draft.enabled.has(feature.name)) continue;
    if (settings[feature.name] === true) {
      refuse(`CPU property "${feature.name}" needs "${missing}"; turn that on too`, feature.name);
    }
    draft.enabled.delete(feature.name);
  }
}

/** Markers name what the privileged architecture brings; a bare CPU names none until it has something beside I. */
function addMarkers(draft: Draft, isFullCpu: boolean): void {
  const named = isFullCpu || features.some((f) => f.kind === "extension" && draft.enabled.has(f.name));
  if (!named) return;
  for (const { name, kind, needs } of features) {
    if (kind === "marker" && (needs ?? []).every((need) => draft.enabled.has(need))) draft.enabled.add(name);
  }
}

/** The highest mode that was asked for, or the one below the lowest that was turned off, or what the model has. */
function chooseSatpMode(draft: Draft, usual: SatpMode): SatpMode {
  const falling = [...satpModes].reverse();
  const wanted = falling.find((mode) => draft.satp.get(mode) === true);
  if (wanted === undefined) {
    const least = satpModes.findIndex((mode) => draft.satp.get(mode) === false);
    if (least > 0 && satpModes.indexOf(usual) >= least) return satpModes[least - 1]!;
    if (usual === "none") draft.warnings.push("No satp mode set. Defaulting to 'bare'");
    return usual;
  }
  const below = falling.slice(falling.indexOf(wanted) + 1);
  const disabled = below.find((mode) => draft.satp.get(mode) === false);
  if (disabled !== undefined) {
    throw new CpuError("missingFeature", `cannot disable ${disabled} satp mode if ${wanted} is enabled`, {
      subject: disabled,
    });
  }
  return wanted;
}

function describe({ enabled, warnings }: Draft, satp: SatpMode): CpuFeatures {
  return {
    has: (name) => enabled.has(name),
    satpModes: satpNumbers[satp],
    warnings,
    isa: {
      base: "rv64i",
      extensions: chosen((f) => f.kind !== "mode" && enabled.has(f.name)),
      mmuType: `riscv,${satp}`,
    },
  };
}
