// A host description from a file; what is wrong with it is shown in its own lines.
import { readFileSync } from "node:fs";
import { placeText, type JsonPlace } from "../../format/index.ts";
import { DescriptionError, readHostDescription, type HostPlan } from "../../iommufd/index.ts";
import { CliError } from "../errors.ts";
import { OptionError, readProperties } from "../../object/index.ts";
import { builtInKinds } from "../../vfiohost/index.ts";

const MAX_SHOWN = 20;
const EXCERPT_COLUMNS = 72;

/** Throws CliError. */
export function readHostFile(path: string): HostPlan {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new CliError("badFile", `Cannot be read: ${(cause as Error).message}`, { subject: path, cause });
  }
  return readHostText(text, path);
}

/** The same for a text that the caller has; `path` is what errors call it. */
export function readHostText(text: string, path: string): HostPlan {
  try {
    return withChecked(readHostDescription(text, builtInKinds), path, text);
  } catch (cause) {
    if (!(cause instanceof DescriptionError)) throw cause;
    if (cause.problems.length === 0) throw new CliError("badFile", cause.message, { subject: path, cause });
    const shown = cause.problems.slice(0, MAX_SHOWN).map((p) => pointAt(text, p.place, p.message));
    const more = cause.problems.length - shown.length;
    if (more > 0) shown.push(`and ${more} more`);
    throw new CliError("badFile", shown.join("\n"), { subject: path, cause });
  }
}

/** Properties are the kind's own to check. */
function withChecked(plan: HostPlan, path: string, text: string): HostPlan {
  for (const { kind, name, properties, place } of plan.devices) {
    const table = builtInKinds.find((k) => k.name === kind.name)!.properties;
    try {
      readProperties(kind.name, table, properties, name);
    } catch (cause) {
      if (!(cause instanceof OptionError)) throw cause;
      throw new CliError("badFile", pointAt(text, place, cause.message), { subject: path, cause });
    }
  }
  return plan;
}

/** The message, the line, and a mark under the column. */
function pointAt(text: string, place: JsonPlace, message: string): string {
  const line = (text.split("\n")[place.line - 1] ?? "").replaceAll(/[\t\r]/g, " ");
  const from = Math.max(0, place.column - 1 - EXCERPT_COLUMNS / 2);
  const excerpt = line.slice(from, from + EXCERPT_COLUMNS);
  return `${placeText(place)}: ${message}\n    ${excerpt}\n    ${" ".repeat(place.column - 1 - from)}^`;
}
