// One case of the laboratory's matrix: a guest is moved and nothing is lost, or it is refused for what is told beforehand.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { isDeepStrictEqual, promisify } from "node:util";
import { join } from "node:path";
import { labHost } from "../../src/cli/lab/lab-host.ts";
import { labMigrate, machineOptions, plannedMove } from "../../src/cli/lab/migrate.ts";
import { MachineProcess } from "../../src/cli/lab/machine-process.ts";
import type { QmpObject } from "../../src/cli/lab/qmp-client.ts";
import type { LabResult } from "../../src/cli/lab/report.ts";
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
  readonly counts: LabResult["counts"];
}

export type Outcome = { readonly moved: Moved } | { readonly refused: readonly string[] } | { readonly error: string };

export interface CaseOptions {
  readonly files: GuestFiles;
  readonly moves: number;
  /** Where the built programs are. */
  readonly programs: string;
  readonly signal: AbortSignal;
}

/** A move's limit where nobody can say what was written, and where somebody can; on a busy machine. */
const UNTRACKED_DOWNTIME_MS = 20_000;
const DOWNTIME_MS = 1000;

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
  const { moves, files, programs, signal } = options;
  const place = { host: labHost(what.host), policy: what.policy, dmaMode: what.dmaMode, memoryBytes: MEMORY_BYTES };
  const { choices } = plannedMove(place);
  const isUntracked = choices.some(({ tracker }) => tracker === "none");
  const startedAt = performance.now();
  const result = await labMigrate({
    ...{ ...place, harts: what.harts, moves, channels: [what.channel], files, signal, more: [] },
    downtimeMs: isUntracked ? UNTRACKED_DOWNTIME_MS : DOWNTIME_MS,
    status: new StatusLine({ write: () => true }),
    program: join(programs, "ratite-system-riscv64.js"),
  });
  require(result.moves.length === moves, `${result.moves.length} moves`);
  for (const [n, each] of result.moves.entries()) {
    require(each.missedPages === 0, `move ${n + 1}: nobody told of ${each.missed.slice(0, 10).join(", ")}`);
    for (const round of each.rounds) checkSources(n + 1, round.sources, choices);
  }
  return {
    moves,
    seconds: (performance.now() - startedAt) / 1000,
    downtimesMs: result.moves.map(({ downtimeMs }) => downtimeMs),
    rounds: result.moves.reduce((sum, { rounds }) => sum + rounds.length + 1, 0),
    counts: result.counts,
  };
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

/** What a machine, its monitor and `ratite host check` say is the same list; the machine is as it was. */
async function refuse(what: LabCase, { files, programs, signal }: CaseOptions): Promise<readonly string[]> {
  const { policy, dmaMode } = what;
  const place = { host: labHost(what.host), policy, dmaMode, memoryBytes: MEMORY_BYTES, harts: 1, files, more: [] };
  const expected = plannedMove(place).reasons;
  const sentences = [...new Set(expected.map(reasonText))];
  const folder = mkdtempSync(join(tmpdir(), "ratite-lab-"));
  try {
    const options = [...machineOptions(place, folder), "-S"];
    const program = join(programs, "ratite-system-riscv64.js");
    const machine = await MachineProcess.start({ name: "machine", folder, options, program, signal });
    const { qmp } = machine;
    try {
      const { "blocked-reasons": blocked } = (await qmp.execute("query-migrate")) as QmpObject;
      requireEqual("query-migrate", blocked, sentences);
      const answer = await qmp.execute("migrate", { uri: `unix:${join(folder, "nobody")}` }).then(
        () => "taken",
        (error: Error) => error.message,
      );
      requireEqual("migrate", answer, sentences[0]);
      requireEqual("the machine", ((await qmp.execute("query-status")) as QmpObject)["status"], "prelaunch");
    } finally {
      await machine.end();
    }
    const command = { programs, signal };
    const use = ["--policy", policy, "--dma-mode", dmaMode, "--memory", `${MEMORY_BYTES / 2 ** 20}M`];
    const [checked, status] = await ratite(["host", "check", join(folder, "host.json"), ...use, "--json"], command);
    const { blocked } = JSON.parse(checked) as { readonly blocked: readonly { readonly message: string }[] };
    const told = expected.map(({ message }) => message);
    requireEqual("host check", [status, blocked.map(({ message }) => message)], [1, told]);
    const [text, labStatus] = await ratite(["lab", "migrate", "--host", what.host, ...use], command);
    const [checkText] = await ratite(["host", "check", join(folder, "host.json"), ...use], command);
    requireEqual("lab migrate", [labStatus, text], [1, checkText]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return sentences;
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
