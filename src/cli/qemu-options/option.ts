// One entry of the table of options, from which the parser, -help and COMPATIBILITY.md are derived.
import { OptionError, type CommandLineOption, type GivenOption, type ParsedOptions } from "../../object/index.ts";
import type { ConfigDraft } from "./draft.ts";

export type Section =
  | "Machine"
  | "Boot"
  | "Disks"
  | "Assigned devices"
  | "Character devices"
  | "Monitors"
  | "Running"
  | "Absent hardware"
  | "Information";

/** An option that works. */
export interface QemuOption extends CommandLineOption {
  readonly section: Section;
  readonly example?: string;
  /** Where it is less than QEMU's, or differs from it; left out when it is the same. */
  readonly differs?: string;
  /** Parameters that QEMU has and we refuse: name to reason, which continues "is not supported: ". */
  readonly refusedParameters?: Readonly<Record<string, string>>;
  readonly apply: (draft: ConfigDraft, given: GivenOption) => void;
}

/** An option that QEMU has and we refuse. */
export interface RefusedOption extends CommandLineOption {
  readonly refused: string;
}

/** Refuses what `reasons` names, whatever its value. */
export function refuseParameters(parsed: ParsedOptions, reasons: Readonly<Record<string, string>>): void {
  const keys = parsed.isJson ? Object.keys(parsed.tree) : parsed.entries.map((entry) => entry.key);
  for (const key of keys) {
    const top = key.split(".")[0] ?? key;
    const reason = Object.hasOwn(reasons, key) ? reasons[key] : Object.hasOwn(reasons, top) ? reasons[top] : undefined;
    if (reason !== undefined) throw unsupportedParameter(key, reason, parsed.subject);
  }
}

export function unsupportedParameter(key: string, reason: string, subject: string): OptionError {
  return new OptionError("unsupported", `Parameter '${key}' is not supported: ${reason}`, { subject });
}

/** The value `given` of a parameter of which we do only `supported`. */
export function requireValue(
  parsed: ParsedOptions,
  key: string,
  given: string | boolean | undefined,
  supported: readonly (string | boolean)[],
  reason: string,
): void {
  if (given === undefined || supported.includes(given)) return;
  const text = typeof given === "boolean" ? (given ? "on" : "off") : given;
  throw unsupportedParameter(`${key}=${text}`, reason, parsed.subject);
}

/** The argument's parts; the table says that this option has a grammar. */
export function partsOf(given: GivenOption): ParsedOptions {
  if (given.parsed === undefined) throw new OptionError("badSyntax", "A list of parameters is expected", given);
  return given.parsed;
}
