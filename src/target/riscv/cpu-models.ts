// CPU models and extensions by QEMU's names; the device tree states exactly what is enabled here.
import { VmError } from "../../base/index.ts";

export class CpuError extends VmError<"unknownModel" | "unknownFeature" | "missingFeature"> {
  override readonly room = "target/riscv";
}

interface Feature {
  readonly name: string;
  /** What it needs to be on. */
  readonly needs?: readonly string[];
  /** Listed in the device tree; the others shape the CPU without a name there. */
  readonly listed?: boolean;
}

/** In the order of the ISA string: single letters, then multi-letter names as QEMU lists them. */
const features: readonly Feature[] = [
  { name: "i", listed: true },
  { name: "m", listed: true },
  { name: "a", listed: true },
  { name: "f", needs: ["zicsr"], listed: true },
  { name: "d", needs: ["f"], listed: true },
  { name: "c", listed: true },
  { name: "s", needs: ["u"] },
  { name: "u", needs: ["zicsr"] },
  { name: "mmu", needs: ["s"] },
  { name: "pmp" },
  { name: "sv39", needs: ["mmu"] },
  { name: "sv48", needs: ["sv39"] },
  { name: "sv57", needs: ["sv48"] },
  { name: "zicntr", needs: ["zicsr"], listed: true },
  { name: "zicsr", listed: true },
  { name: "zifencei", listed: true },
  { name: "zihintpause", listed: true },
  { name: "zmmul", listed: true },
  { name: "zaamo", listed: true },
  { name: "zalrsc", listed: true },
  { name: "zca", listed: true },
  { name: "zcd", needs: ["d", "zca"], listed: true },
  { name: "sstc", needs: ["s"], listed: true },
  { name: "svadu", needs: ["mmu"], listed: true },
];

const everything: readonly string[] = features.map((f) => f.name);
const implied: Readonly<Record<string, readonly string[]>> = { m: ["zmmul"], a: ["zaamo", "zalrsc"], c: ["zca"] };

export interface CpuModel {
  readonly name: string;
  readonly description: string;
  readonly features: readonly string[];
}

export const cpuModels: readonly CpuModel[] = [
  { name: "rv64", description: "Everything that is implemented, as QEMU's default CPU", features: everything },
  { name: "max", description: "Everything that is implemented", features: everything },
  { name: "rv64i", description: "RV64I alone; turn extensions on one by one", features: ["i"] },
];

export const cpuFeatureNames: readonly string[] = everything;

export interface CpuFeatures {
  has(extension: string): boolean;
  readonly isa: { readonly base: string; readonly extensions: readonly string[]; readonly mmuType: string };
  /** Highest satp.MODE: 8 (Sv39), 9, 10, or 0 when there is no MMU. */
  readonly satpModes: number;
}

/** Resolves a model and its `ext=on|off` settings; throws `CpuError` naming what is unknown or missing. */
export function cpuFeatures(model: string, settings: Readonly<Record<string, boolean>>): CpuFeatures {
  const found = cpuModels.find((m) => m.name === model);
  if (found === undefined) {
    const known = cpuModels.map((m) => m.name).join(", ");
    throw new CpuError("unknownModel", `There is no CPU model "${model}"; known are ${known}`, { subject: model });
  }
  const enabled = new Set(found.features);
  for (const [name, on] of Object.entries(settings)) {
    if (!everything.includes(name)) {
      throw new CpuError(
        "unknownFeature",
        `CPU "${model}" has no property "${name}"; known are ${everything.join(", ")}`,
        { subject: name },
      );
    }
    for (const each of [name, ...(implied[name] ?? [])]) {
      if (on) enabled.add(each);
      else if (each === name || !Object.hasOwn(settings, each)) enabled.delete(each);
    }
  }
  if (!enabled.has("c") || !enabled.has("d")) enabled.delete("zcd");
  else enabled.add("zcd");
  for (const feature of features) {
    const missing = feature.needs?.find((need) => !enabled.has(need));
    if (!enabled.has(feature.name) || missing === undefined) continue;
    if (Object.hasOwn(settings, feature.name)) {
      throw new CpuError("missingFeature", `CPU property "${feature.name}" needs "${missing}"; turn that on too`, {
        subject: feature.name,
      });
    }
    enabled.delete(feature.name);
  }
  const satpModes = enabled.has("sv57") ? 10 : enabled.has("sv48") ? 9 : enabled.has("sv39") ? 8 : 0;
  return {
    has: (extension) => enabled.has(extension),
    satpModes,
    isa: {
      base: "rv64i",
      extensions: features.filter((f) => f.listed === true && enabled.has(f.name)).map((f) => f.name),
      mmuType: satpModes === 0 ? "riscv,none" : `riscv,sv${{ 8: 39, 9: 48, 10: 57 }[satpModes]}`,
    },
  };
}
