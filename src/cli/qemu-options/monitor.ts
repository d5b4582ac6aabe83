// Monitors: -qmp, -qmp-pretty, -mon, -monitor.
import { bool, oneOf, OptionError, OptionReader, str, type GivenOption } from "../../object/index.ts";
import { CliError } from "../errors.ts";
import type { CharPlan, MonitorPlan } from "../plan.ts";
import { legacyKind } from "./character.ts";
import type { ConfigDraft } from "./draft.ts";
import { partsOf, type QemuOption } from "./option.ts";

/** QEMU's name for the character device behind a short form. */
function addCompat(
  draft: ConfigDraft,
  given: GivenOption,
  { mode, pretty }: Pick<MonitorPlan, "mode" | "pretty">,
): void {
  const { subject, argument } = given;
  const id = `compat_monitor${draft.monitors.length}`;
  if (argument === "none") return;
  const chardev = argument.startsWith("chardev:") ? argument.slice("chardev:".length) : id;
  if (chardev === id) {
    draft.chardevs.push({ id, subject, mux: false, backend: legacyKind(argument, false, given) });
  }
  draft.monitors.push({ subject, chardev, mode, pretty, isHidden: false });
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
    apply: (draft, given) => addCompat(draft, given, { mode: "control", pretty }),
  };
}

const mon: QemuOption = {
  name: "mon",
  section: "Monitors",
  argument: { impliedKey: "chardev" },
  synopsis: "[chardev=]ID[,mode=readline|control][,pretty=on|off]",
  description: "Serve the monitor for people, or QMP (control), on a character device",
  example: "-chardev socket,id=m0,path=/tmp/qmp,server=on,wait=off -mon m0,mode=control",
  differs: "the commands that `help` and `query-commands` list",
  apply(draft, given) {
    const parsed = partsOf(given);
    const reader = new OptionReader(parsed);
    const chardev = reader.required("chardev", str);
    const mode = reader.orElse("mode", oneOf("mode", ["readline", "control"]), "readline");
    const pretty = reader.orElse("pretty", bool, false);
    reader.end();
    if (pretty && mode === "readline") {
      throw new OptionError("badValue", "'pretty' is for mode=control", given);
    }
    draft.monitors.push({ subject: given.subject, chardev, mode, pretty, isHidden: false });
  },
};

const monitor: QemuOption = {
  name: "monitor",
  section: "Monitors",
  argument: "text",
  synopsis: "unix:PATH[,server=on][,wait=off]|tcp:HOST:PORT[,server=on][,wait=off]|stdio|chardev:ID|none",
  description: "Serve the monitor for people; on the serial port's terminal (Ctrl-A C) when nothing is said",
  example: "-monitor unix:/tmp/monitor,server=on,wait=off",
  differs: "the commands that `help` lists; editing is at the line's end",
  apply(draft, given) {
    draft.monitorGiven = true;
    if (given.argument !== "null") addCompat(draft, given, { mode: "readline", pretty: false });
  },
};

export const monitorOptions: readonly QemuOption[] = [short("qmp", false), short("qmp-pretty", true), mon, monitor];

/** Each has a character device of its own, or a share of one. */
export function placeMonitors(
  monitors: readonly MonitorPlan[],
  chardevs: readonly CharPlan[],
  usedBy: ReadonlyMap<string, string>,
): MonitorPlan[] {
  const users = new Map(usedBy);
  return monitors.map((wanted) => {
    const { subject, chardev } = wanted;
    const back = chardevs.find(({ id }) => id === chardev);
    if (back === undefined) {
      throw new OptionError("unknownObject", `There is no chardev '${chardev}'`, { subject });
    }
    const other = users.get(chardev);
    if (other !== undefined && !back.mux) {
      throw new CliError("badUsage", `Character device '${chardev}' is in use by ${other}`, { subject });
    }
    users.set(chardev, subject);
    return { ...wanted, isHidden: other !== undefined };
  });
}
