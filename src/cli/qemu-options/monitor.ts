// Monitors: -qmp, -qmp-pretty, -mon, -monitor.
import { bool, oneOf, OptionError, OptionReader, str, type GivenOption } from "../../object/index.ts";
import { CliError } from "../errors.ts";
import type { CharPlan, MonitorPlan } from "../plan.ts";
import { legacyKind } from "./character.ts";
import type { ConfigDraft } from "./draft.ts";
import { partsOf, type QemuOption } from "./option.ts";

const NO_HMP = "Ratite has no monitor for people yet; use -qmp, or -monitor none";

/** QEMU's name for the character device behind a short form. */
function addCompat(draft: ConfigDraft, given: GivenOption, pretty: boolean): void {
  const { subject, argument } = given;
  const id = `compat_monitor${draft.monitors.length}`;
  if (argument === "none") return;
  const chardev = argument.startsWith("chardev:") ? argument.slice("chardev:".length) : id;
  if (chardev === id) {
    draft.chardevs.push({ id, subject, mux: false, backend: legacyKind(argument, false, given) });
  }
  draft.monitors.push({ subject, chardev, pretty });
}

function short(name: string, pretty: boolean): QemuOption {
  return {
    name,
    section: "Monitors",
    argument: "text",
    synopsis: "unix:PATH[,server=on][,wait=off]|tcp:HOST:PORT[,server=on][,wait=off]|stdio|chardev:ID|none",
    description: `Serve QMP, QEMU's machine protocol${pretty ? ", over several lines" : ""}`,
    example: `-${name} unix:/tmp/qmp,server=on,wait=off`,
    differs: "the commands that `query-commands` lists; no `oob`",
    apply: (draft, given) => addCompat(draft, given, pretty),
  };
}

const mon: QemuOption = {
  name: "mon",
  section: "Monitors",
  argument: { impliedKey: "chardev" },
  synopsis: "[chardev=]ID,mode=control[,pretty=on|off]",
  description: "Serve QMP on a character device",
  example: "-chardev socket,id=m0,path=/tmp/qmp,server=on,wait=off -mon m0,mode=control",
  differs: "`mode=control` only",
  apply(draft, given) {
    const parsed = partsOf(given);
    const reader = new OptionReader(parsed);
    const chardev = reader.required("chardev", str);
    const mode = reader.orElse("mode", oneOf("mode", ["readline", "control"]), "readline");
    const pretty = reader.orElse("pretty", bool, false);
    reader.end();
    if (mode !== "control") throw new OptionError("unsupported", NO_HMP, given);
    draft.monitors.push({ subject: given.subject, chardev, pretty });
  },
};

const monitor: QemuOption = {
  name: "monitor",
  section: "Monitors",
  argument: "text",
  synopsis: "none",
  description: "There is no monitor for people yet; 'none' is accepted",
  example: "-monitor none",
  differs: "`none` only",
  apply(_draft, given) {
    if (given.argument === "none" || given.argument === "null") return;
    throw new OptionError("unsupported", NO_HMP, given);
  },
};

export const monitorOptions: readonly QemuOption[] = [short("qmp", false), short("qmp-pretty", true), mon, monitor];

/** Each monitor has a character device of its own. */
export function checkMonitors(
  monitors: readonly MonitorPlan[],
  chardevs: readonly CharPlan[],
  usedBy: ReadonlyMap<string, string>,
): void {
  const users = new Map(usedBy);
  for (const { subject, chardev } of monitors) {
    if (!chardevs.some(({ id }) => id === chardev)) {
      throw new OptionError("unknownObject", `There is no chardev '${chardev}'`, { subject });
    }
    const other = users.get(chardev);
    if (other !== undefined) {
      throw new CliError("badUsage", `Character device '${chardev}' is in use by ${other}`, { subject });
    }
    users.set(chardev, subject);
  }
}
