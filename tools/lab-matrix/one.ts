// One case of the laboratory's matrix: a guest is moved and nothing is lost, or it is refused for what is told beforehand.
import { execFile } from "node:child_process";
import { isDeepStrictEqual, promisify } from "node:util";
import { join } from "node:path";
import { labHost, type LabHost } from "../../src/cli/lab/lab-host.ts";
import { Laboratory } from "../../src/cli/lab/laboratory.ts";
import { assignedId, assignedOptions, labMigrate, plannedMove } from "../../src/cli/lab/migrate.ts";
import { channelUri, moveMachine, type LabMove } from "../../src/cli/lab/moves.ts";
import type { MachineProcess } from "../../src/cli/lab/machine-process.ts";
import type { QmpObject } from "../../src/cli/lab/qmp-client.ts";
import { StatusLine } from "../../src/cli/status-line.ts";
import type { GuestFiles } from "../../src/guest/index.ts";
import { reasonText, type TrackerChoice } from "../../src/vfio/index.ts";
import { MEMORY_BYTES, type LabCase, type MovedCase } from "./cases.ts";

export interface Moved {
  readonly moves: number;
  readonly seconds: number;
  readonly downtimesMs: readonly number[];
  /** That were compared with what the guest's memory became. */
  readonly rounds: number;
}

export type Outcome = { readonly moved: Moved } | { readonly refused: readonly string[] } | { readonly error: string };

export interface CaseOptions {
  /** Debian, at work as by `ratite lab migrate`; absent: the guest of test/fixtures/migration, which is there at once. */
  readonly debian?: GuestFiles;
  readonly moves: number;
  /** Where the built programs are. */
  readonly programs: string;
  readonly signal: AbortSignal;
}

/** A move's limit where nobody can say what was written, and where somebody can; on a busy machine. */
const UNTRACKED_DOWNTIME_MS = 20_000;
const DOWNTIME_MS = 1000;

const SMALL_GUEST = join(import.meta.dirname, "../../test/fixtures/migration/guest.elf");
/** What each device goes through (QEMU's qapi/vfio.json); that a target checks what it has in `stop` is ours. */
const DEVICE_STATES = {
  source: ["pre-copy", "pre-copy-p2p", "stop-copy", "stop"],
  target: ["resuming", "stop", "running-p2p", "running"],
} as const;

/** Rejects with the signal's reason alone. */
export async function runCase(what: LabCase, options: CaseOptions): Promise<Outcome> {
  try {
    return what.isAllowed ? { moved: await moved(what, options) } : { refused: await refuse(what, options) };
  } catch (error) {
    options.signal.throwIfAborted();
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

async function moved(what: MovedCase, options: CaseOptions): Promise<Moved> {
  const place = { host: labHost(what.host), policy: what.policy, dmaMode: what.dmaMode, memoryBytes: MEMORY_BYTES };
  const { choices } = plannedMove(place);
  const isUntracked = choices.some(({ tracker }) => tracker === "none");
  const downtimeMs = isUntracked ? UNTRACKED_DOWNTIME_MS : DOWNTIME_MS;
  const startedAt = performance.now();
  const moves = await (options.debian === undefined
    ? moveSmall(what, downtimeMs, options)
    : moveDebian(what, downtimeMs, options, options.debian));
  require(moves.length === options.moves, `${moves.length} moves`);
  for (const [n, each] of moves.entries()) {
    require(each.missedPages === 0, `move ${n + 1}: nobody told of ${each.missed.slice(0, 10).join(", ")}`);
    for (const round of each.rounds) checkSources(n + 1, round.sources, choices);
  }
  checkOccurred(moves, choices);
  return {
    moves: moves.length,
    seconds: (performance.now() - startedAt) / 1000,
    downtimesMs: moves.map((each) => each.downtimeMs),
    rounds: moves.reduce((sum, { rounds }) => sum + rounds.length + 1, 0),
  };
}

async function moveDebian(
  what: MovedCase,
  downtimeMs: number,
  options: CaseOptions,
  files: GuestFiles,
): Promise<readonly LabMove[]> {
  const { policy, dmaMode, harts, channel } = what;
  const { moves, signal } = options;
  const result = await labMigrate({
    ...{ host: labHost(what.host), policy, dmaMode, memoryBytes: MEMORY_BYTES, harts, moves, channels: [channel] },
    ...{ downtimeMs, files, signal, more: [], program: systemProgram(options) },
    status: new StatusLine({ write: () => true }),
  });
  return result.moves;
}

/** Its harts, engine and disk look themselves whether anything was lost; then it says what. */
function moveSmall(what: MovedCase, downtimeMs: number, options: CaseOptions): Promise<readonly LabMove[]> {
  const { harts, channel: kind } = what;
  const host = labHost(what.host);
  return Laboratory.use({ ...options, program: systemProgram(options) }, async (laboratory) => {
    const common = smallOptions({ ...what, host }, "16M", laboratory.folder);
    common.push("-smp", `${harts}`);
    const moves: LabMove[] = [];
    let machine = await laboratory.start("machine0", common);
    await works(machine);
    for (let n = 1; n <= options.moves; n++) {
      const uri = await channelUri(kind, laboratory.folder, `machine${n}`);
      const target = await laboratory.start(`machine${n}`, [...common, "-incoming", uri]);
      moves.push(await moveMachine(machine, uri, { kind, downtimeMs, onProgress: () => undefined }));
      checkStates(machine, host, DEVICE_STATES.source);
      await laboratory.end(machine);
      machine = target;
      await works(machine);
      checkStates(machine, host, DEVICE_STATES.target);
    }
    return moves;
  });
}

function smallOptions(place: Parameters<typeof assignedOptions>[0], memory: string, folder: string): string[] {
  return ["-M", "virt", "-m", memory, "-bios", "none", "-kernel", SMALL_GUEST, ...assignedOptions(place, folder)];
}

async function works(machine: MachineProcess): Promise<void> {
  const { text } = await machine.prints(/\.|[^.]+\n|[rR]/);
  require(text === ".", `the guest says ${JSON.stringify(text)}`);
}

/** The states that QMP told of (VFIO_MIGRATION) since the machine came. */
function checkStates({ name, qmp }: MachineProcess, { plan }: LabHost, wanted: readonly string[]): void {
  const told = qmp.takeEvents("VFIO_MIGRATION");
  plan.devices.forEach((device, n) => {
    const id = assignedId(n);
    const found = told.filter((data) => data["device-id"] === id);
    requireEqual(
      `${name}: ${device.name}`,
      found,
      wanted.map((state) => stateEvent(id, state)),
    );
  });
}

function stateEvent(id: string, state: string): object {
  return { "device-id": id, "qom-path": `/machine/peripheral/${id}`, "device-state": state };
}

/** A device's writes came from the source that was said beforehand. */
function checkSources(
  move: number,
  sources: readonly { readonly name: string }[],
  choices: readonly TrackerChoice[],
): void {
  const names = sources.map(({ name }) => name);
  const wanted = (tracker: TrackerChoice["tracker"]): string[] =>
    choices.filter((choice) => choice.tracker === tracker).map(({ device }) => device);
  const [logs, untracked] = [
    wanted("device").map((device) => `vfio ${device} log`),
    wanted("none").map((device) => `vfio ${device} untracked`),
  ];
  const isTable = (name: string): boolean => name.startsWith("vfio page table ");
  const others = names.filter((name) => !name.startsWith("hart") && !isTable(name));
  const unexpected = others.filter((name) => ![...logs, ...untracked].includes(name));
  require(unexpected.length === 0, `move ${move}: ${unexpected.join(", ")} reported pages`);
  for (const name of untracked) require(names.includes(name), `move ${move}: ${name} reported nothing`);
  require(!names.some(isTable) || wanted("iommu").length > 0, `move ${move}: a page table reported pages`);
}

/** Who writes without end was told of by each source that there is for it. */
function checkOccurred(moves: readonly LabMove[], choices: readonly TrackerChoice[]): void {
  const names = new Set(
    moves.flatMap(({ rounds }) => rounds.flatMap(({ sources }) => sources.map(({ name }) => name))),
  );
  for (const { device, tracker } of choices) {
    // Mediated devices are idle in the small guest.
    if (!device.startsWith("0000:") || tracker === "none") continue;
    const isIts = (name: string): boolean =>
      tracker === "device" ? name === `vfio ${device} log` : name.startsWith("vfio page table ");
    require([...names].some(isIts), `nobody told of what ${device} writes`);
  }
}

/** What a machine, its monitor and `ratite host check` say is the same list; the machine is as it was. */
function refuse(what: LabCase, options: CaseOptions): Promise<readonly string[]> {
  const { policy, dmaMode } = what;
  const place = { host: labHost(what.host), policy, dmaMode, memoryBytes: MEMORY_BYTES };
  const sentences = [...new Set(plannedMove(place).reasons.map(reasonText))];
  return Laboratory.use({ ...options, program: systemProgram(options) }, async (laboratory) => {
    const { folder } = laboratory;
    const memory = `${MEMORY_BYTES / 2 ** 20}M`;
    const machine = await laboratory.start("machine", [...smallOptions(place, memory, folder), "-S"]);
    const { qmp } = machine;
    const { "blocked-reasons": blockedReasons } = (await qmp.execute("query-migrate")) as QmpObject;
    requireEqual("query-migrate", blockedReasons, sentences);
    const answer = await qmp.execute("migrate", { uri: `unix:${join(folder, "nobody")}` }).then(
      () => "taken",
      (error: Error) => error.message,
    );
    requireEqual("migrate", answer, sentences[0]);
    requireEqual("the machine", ((await qmp.execute("query-status")) as QmpObject)["status"], "prelaunch");
    await laboratory.end(machine);
    const use = ["--policy", policy, "--dma-mode", dmaMode, "--memory", memory];
    const check = ["host", "check", join(folder, "host.json"), ...use];
    const [checked, status] = await ratite([...check, "--json"], options);
    requireEqual("host check", [status, sentencesOf(checked)], [1, sentences]);
    const [text, labStatus] = await ratite(["lab", "migrate", "--host", what.host, ...use], options);
    const [checkText] = await ratite(check, options);
    requireEqual("lab migrate", [labStatus, text], [1, checkText]);
    return sentences;
  });
}

/** Of what `ratite host check --json` prints: its fields are the parts of `reasonText`. */
function sentencesOf(checked: string): readonly string[] {
  const { blocked } = JSON.parse(checked) as { readonly blocked: readonly Readonly<Record<string, string>>[] };
  const told = blocked.map(
    ({ message, because, call, errno, remedy }) => `${message}: ${because} (${call}: ${errno}); ${remedy} would do`,
  );
  return [...new Set(told)];
}

function systemProgram({ programs }: CaseOptions): string {
  return join(programs, "ratite-system-riscv64.js");
}

/** What the program prints, and its status. */
async function ratite(
  args: readonly string[],
  { programs, signal }: { readonly programs: string; readonly signal: AbortSignal },
): Promise<readonly [string, number]> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [join(programs, "ratite.js"), ...args], { signal });
    return [stdout, 0];
  } catch (error) {
    const { stdout, code } = error as { readonly stdout: string; readonly code: number };
    return [stdout, code];
  }
}

function requireEqual(who: string, found: unknown, wanted: unknown): void {
  require(isDeepStrictEqual(found, wanted), `${who} says ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

function require(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}
