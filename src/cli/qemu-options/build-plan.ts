// Defaults and cross-checks: from what the options said to one machine plan.
import { OptionError, readProperties, refuseProperties } from "../../object/index.ts";
import { CliError } from "../errors.ts";
import type { BlockPlan, CharPlan, MachinePlan, MonitorPlan, ProgramPlan } from "../plan.ts";
import { chosenAccelerator } from "./accelerator.ts";
import type { ConfigDraft, DraftBlockNode } from "./draft.ts";
import { catalogue } from "./known.ts";
import { unknownDevice } from "./lists.ts";
import { placeMonitors } from "./monitor.ts";

const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024;
/** What a machine whose time follows from its instructions takes for the present: 2027-01-01T00:00:00Z. */
const REPEATABLE_NOW_NS = 1_798_761_600_000_000_000n;
const REPEATABLE_SEED = 0n;

/** Throws OptionError or CliError whose subject is the option at fault. */
export function buildPlan(draft: ConfigDraft): ProgramPlan {
  checkBoot(draft);
  const { serials, chardevs } = connectSerials(draft);
  checkStdio(chardevs);
  const blockNodes = resolveNodes(draft.blockNodes);
  checkDevices(draft, chardevs, blockNodes);
  const wanted = [...draft.monitors, ...serialMonitor(draft, serials, chardevs)];
  const monitors = placeMonitors(wanted, chardevs, charUsers(draft, serials));
  if (draft.startPaused && monitors.length === 0) {
    draft.warnings.push("-S: started paused; -qmp would make a monitor that can continue it");
  }
  const { kernel, initrd, dtb, name, uuid, pidFile, dumpDeviceTree, report, logFile, guestErrors, icount } = draft;
  if (logFile !== undefined && !guestErrors) {
    draft.warnings.push(`${logFile.subject}: nothing is written there without -d guest_errors`);
  }
  const machine: MachinePlan = {
    board: draft.board ?? "virt",
    boardOptions: draft.boardOptions,
    cpu: draft.cpu ?? { model: "rv64", features: {} },
    smp: draft.smp,
    memoryBytes: draft.memoryBytes ?? DEFAULT_MEMORY_BYTES,
    firmware: draft.firmware,
    fwCfg: draft.fwCfg,
    commandLine: draft.commandLine?.text ?? "",
    serials,
    devices: draft.devices,
    iommufds: draft.iommufds,
    noReboot: draft.noReboot,
    noShutdown: draft.noShutdown,
    startPaused: draft.startPaused,
    ...timeAndChance(draft),
    chardevs,
    blockNodes,
    ...(draft.incoming !== undefined && { incoming: true }),
    ...(draft.dirtyOracle && { dirtyOracle: true }),
    ...(draft.preallocated && { preallocated: true }),
    ...given({ kernel, initrd, dtb, name, uuid, icount, accelerator: chosenAccelerator(draft) }),
  };
  return {
    machine,
    monitors,
    dirtyOracle: draft.dirtyOracle,
    warnings: draft.warnings,
    ...given({ pidFile, dumpDeviceTree, report, incoming: draft.incoming }),
    ...(guestErrors ? { guestErrors: given({ logFile }) } : {}),
  };
}

/** With a fixed shift, the same options are to give the same run: nothing then comes from the host unless asked for. */
function timeAndChance({ rtc, icount, seed }: ConfigDraft): Pick<MachinePlan, "rtc" | "seed"> {
  if (icount === undefined || icount.shift === "auto") {
    return { rtc: { base: "utc", clock: "host", ...rtc }, ...given({ seed }) };
  }
  return { rtc: { base: REPEATABLE_NOW_NS, clock: "vm", ...rtc }, seed: seed ?? REPEATABLE_SEED };
}

/** Without the members that are undefined. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function checkBoot(draft: ConfigDraft): void {
  const board = draft.board ?? "virt";
  if (!catalogue.boards.some(({ name }) => name === board)) {
    const message = "unsupported machine type; -machine help lists the supported ones";
    throw new OptionError("badValue", message, { subject: `-machine ${board}` });
  }
  if (draft.kernel !== undefined) return;
  const needsKernel = draft.commandLine?.subject ?? draft.initrd?.subject;
  if (needsKernel !== undefined)
    throw new CliError("badUsage", "only allowed with -kernel option", { subject: needsKernel });
}

function connectSerials(draft: ConfigDraft): Pick<MachinePlan, "serials" | "chardevs"> {
  const chardevs: CharPlan[] = [...draft.chardevs];
  const serials = draft.serials.map(({ subject, chardev }) => {
    if (typeof chardev === "string") {
      if (chardevs.some(({ id }) => id === chardev)) return chardev;
      throw new OptionError("unknownObject", `There is no chardev '${chardev}'`, { subject });
    }
    if (chardev !== undefined) chardevs.push(chardev);
    return chardev?.id;
  });
  if (serials.length > 1) {
    throw new CliError("unsupported", "The board has one serial port", {
      subject: draft.serials[1]?.subject ?? "-serial",
    });
  }
  // There is no window that could show the serial port, so that it goes to the terminal unless that is not wanted.
  const isDefault = serials.length === 0 && !draft.noDefaults && (draft.nographic || !draft.displayNone);
  const usesStdio = chardevs.some(({ backend }) => backend.kind === "stdio");
  if (isDefault && (draft.nographic || !usesStdio)) {
    const subject = draft.nographic ? "-nographic" : "-serial mon:stdio (default)";
    chardevs.push({ id: "serial0", subject, mux: true, backend: { kind: "stdio", signal: false } });
    serials.push("serial0");
  }
  return { serials, chardevs };
}

/** `mon:` asks for one beside the serial port; the port's default place has one unless it was asked for elsewhere. */
function serialMonitor(
  { monitorGiven, chardevs: named, serials: asked }: ConfigDraft,
  serials: MachinePlan["serials"],
  chardevs: readonly CharPlan[],
): MonitorPlan[] {
  const isOwn = ({ id, mux }: CharPlan): boolean =>
    mux && serials.includes(id) && !named.some((each) => each.id === id);
  const shared = chardevs.find(isOwn);
  if (shared === undefined || (monitorGiven && asked.length === 0)) return [];
  const { id: chardev, subject } = shared;
  return [{ subject, chardev, mode: "readline", pretty: false, isHidden: true }];
}

/** Who has which character device; those in a mux have their own way of sharing. */
function charUsers(draft: ConfigDraft, serials: MachinePlan["serials"]): Map<string, string> {
  const users = new Map<string, string>();
  for (const serial of serials) if (serial !== undefined) users.set(serial, "-serial");
  for (const { properties, subject } of draft.devices) {
    if (typeof properties["chardev"] === "string") users.set(properties["chardev"], subject);
  }
  return users;
}

function checkStdio(chardevs: readonly CharPlan[]): void {
  const second = chardevs.filter(({ backend }) => backend.kind === "stdio")[1];
  if (second === undefined) return;
  throw new CliError("badUsage", "cannot use stdio by multiple character devices", { subject: second.subject });
}

function resolveNodes(drafts: readonly DraftBlockNode[]): BlockPlan[] {
  const byName = new Map(drafts.map((draft) => [draft.nodeName, draft]));
  return drafts.map((draft) => {
    let bottom = draft;
    for (let depth = 0; bottom.over !== undefined; depth++) {
      const below = byName.get(bottom.over);
      if (below === undefined || depth > drafts.length) {
        throw new OptionError("unknownObject", `Cannot find node-name '${bottom.over}'`, draft);
      }
      bottom = { ...below, readOnly: bottom.readOnly || below.readOnly };
    }
    const { nodeName, subject, formatGiven } = draft;
    const { image, readOnly, autoReadOnly } = bottom;
    return { nodeName, subject, formatGiven, readOnly, autoReadOnly, image: image ?? "" };
  });
}

/** Their disks may be plugged in on their own. */
const NEED_NO_DRIVE: ReadonlySet<string> = new Set(["nvme"]);

function checkDevices(draft: ConfigDraft, chardevs: readonly CharPlan[], nodes: readonly BlockPlan[]): void {
  const ids = new Set<string>();
  const driveUsers = new Map<string, string>();
  for (const { driver, id, properties, subject } of draft.devices) {
    const type = catalogue.deviceTypes.find(({ typeName }) => typeName === driver);
    if (type?.bus === undefined) throw unknownDevice(driver, subject);
    // The board checks and uses `bus`; it is a property of no device.
    const { bus: _bus, ...own } = properties;
    refuseProperties(driver, type.refusedProperties ?? {}, own, subject);
    const values: Readonly<Record<string, unknown>> = readProperties(driver, type.properties, own, subject);
    if (id !== undefined) {
      if (ids.has(id)) throw new OptionError("duplicate", `Duplicate device ID '${id}'`, { subject });
      ids.add(id);
    }
    const { drive, chardev } = values;
    const usesDrive = "drive" in type.properties && (drive !== undefined || !NEED_NO_DRIVE.has(driver));
    if (usesDrive) checkDrive(drive, driver, subject, nodes, driveUsers);
    if (typeof chardev === "string" && !chardevs.some((back) => back.id === chardev)) {
      throw new OptionError("unknownObject", `Property '${driver}.chardev' can't find value '${chardev}'`, { subject });
    }
  }
  // A host description may name them.
  if (draft.iommufds.some(({ description }) => description.path !== undefined)) return;
  for (const { nodeName, subject, autoReadOnly } of nodes) {
    // A node below a raw one, or one for later use, is no mistake with -blockdev; a -drive that nothing uses is.
    if (subject.startsWith("-drive") && !driveUsers.has(nodeName) && !autoReadOnly) {
      draft.warnings.push(`${subject}: no -device uses drive '${nodeName}'`);
    }
  }
}

function checkDrive(
  drive: unknown,
  driver: string,
  subject: string,
  nodes: readonly BlockPlan[],
  users: Map<string, string>,
): void {
  if (typeof drive !== "string") throw new OptionError("missingParameter", "drive property not set", { subject });
  if (!nodes.some(({ nodeName }) => nodeName === drive)) {
    throw new OptionError("unknownObject", `Property '${driver}.drive' can't find value '${drive}'`, { subject });
  }
  const other = users.get(drive);
  if (other !== undefined) {
    throw new OptionError("duplicate", `Drive '${drive}' is already in use by ${other}`, { subject });
  }
  users.set(drive, subject);
}
