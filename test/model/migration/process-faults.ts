// Guests moved from process to process while something goes wrong: either process is killed, the channel between them, which
// goes through a proxy here, is cut, stalls or is damaged, the migration is cancelled, or the target is another machine.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../vfio/random.ts";
import { expectThat, FaultFinding } from "./fault-finding.ts";
import { chooseFault, USUAL_COUNTS, type Fault, type MoveCounts } from "./fault-plan.ts";
import type { WayFault } from "./faulty-pipe.ts";
import { faultyProxy, type FaultyProxy } from "./faulty-proxy.ts";
import { holdersOf, holdingsOf, pidOf } from "./process-facts.ts";
import type { ProcessGuest, RunningProcess } from "./process-guests.ts";

type Outcome = "moved" | "went on" | "between" | "killed";
type Message = Readonly<Record<string, unknown>>;

/** Moves that one guest makes, or tries to. */
const MOVES_OF_A_GUEST = 12;
/** A channel that stalls while the source runs is given up. */
const STALLED_MS = 8000;
const LIMIT_MS = 120_000;
const SETTLING_MS = 20_000;

/** Faults that can be made from outside. */
const KINDS: ReadonlySet<Fault["kind"]> = new Set(["none", "bytes", "cancel", "kill source", "kill target"]);

interface Side {
  readonly machine: RunningProcess;
  readonly pid: number;
}

export interface ProcessFaultsOptions {
  readonly seed: number;
  readonly guest: (random: Random, folder: string) => ProcessGuest;
  /** How long a move takes, about. */
  readonly moveMs: number;
}

export class ProcessFaults {
  readonly #random: Random;
  readonly #options: ProcessFaultsOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "ratite-faults-"));
  #guest: ProcessGuest | undefined;
  #source: Side | undefined;
  #movesLeft = 0;
  #counts: MoveCounts = USUAL_COUNTS;
  #count = 0;

  constructor(options: ProcessFaultsOptions) {
    this.#random = new Random(options.seed);
    this.#options = options;
  }

  /** One move. Rejects with FaultFinding. */
  async run(): Promise<{ readonly fault: string; readonly outcome: Outcome; readonly hasStruck: boolean }> {
    if (this.#source === undefined || this.#movesLeft-- === 0) await this.#begin();
    const [guest, source] = [this.#guest!, this.#source!];
    const wrong = this.#random.chance(1, 10) ? this.#random.pick(Object.keys(guest.wrong)) : undefined;
    const fault: Fault = wrong === undefined ? this.#fault() : { kind: "none" };
    const title = wrong === undefined ? JSON.stringify(fault) : `another ${wrong}`;
    const before = holdingsOf(source.pid);
    const name = `machine${this.#count++}`;
    const [direct, proxied] = [join(this.#folder, `${name}.in`), join(this.#folder, `${name}.proxy`)];
    const more = wrong === undefined ? [] : guest.wrong[wrong]!;
    const target = await this.#start(name, [...more, "-incoming", `unix:${direct}`]);
    const move = new ProcessMove({ source, target }, guest, {
      ...{ fault, isOther: wrong !== undefined, moveMs: this.#options.moveMs },
    });
    try {
      const outcome = await move.run({ listenAt: proxied, connectTo: direct }, before);
      expectThat(wrong === undefined || outcome === "went on", `${outcome}, to a machine with another ${wrong}`);
      this.#source = move.survivor;
      if (move.counts !== undefined) this.#counts = move.counts;
      return { fault: title, outcome, hasStruck: move.hasStruck };
    } catch (error) {
      this.#source = undefined;
      await Promise.all([source.machine.end(), target.machine.end()]);
      if (!(error instanceof Error)) throw error;
      throw new FaultFinding(`${title} on ${guest.title}: ${error.message}`, { cause: error });
    }
  }

  async end(): Promise<void> {
    await this.#source?.machine.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #begin(): Promise<void> {
    await this.#source?.machine.end();
    this.#movesLeft = MOVES_OF_A_GUEST;
    this.#guest = this.#options.guest(this.#random, this.#folder);
    this.#counts = USUAL_COUNTS;
    this.#source = await this.#start(`machine${this.#count++}`, []);
    await this.#guest.begin(this.#source.machine);
  }

  async #start(name: string, more: readonly string[]): Promise<Side> {
    const machine = await this.#guest!.start(name, more);
    const pid = pidOf(`unix:${join(this.#folder, `${name}.qmp`)},`);
    if (pid === undefined) throw new Error(`the process of ${name} has gone`);
    return { machine, pid };
  }

  #fault(): Fault {
    for (;;) {
      const fault = chooseFault(this.#random, this.#counts);
      if (KINDS.has(fault.kind)) return fault;
    }
  }
}

class ProcessMove {
  survivor: Side | undefined;
  hasStruck = false;
  counts: MoveCounts | undefined;
  readonly #source: Side;
  readonly #target: Side;
  readonly #guest: ProcessGuest;
  readonly #fault: Fault;
  readonly #moveMs: number;
  #killed: "source" | "target" | undefined;
  #error: string | undefined;
  /** The target is another machine. */
  readonly #isOther: boolean;

  constructor(
    { source, target }: { readonly source: Side; readonly target: Side },
    guest: ProcessGuest,
    { fault, isOther, moveMs }: { readonly fault: Fault; readonly isOther: boolean; readonly moveMs: number },
  ) {
    this.#isOther = isOther;
    this.#source = source;
    this.#target = target;
    this.#guest = guest;
    this.#fault = fault;
    this.#moveMs = moveMs;
  }

  async run(sockets: { readonly listenAt: string; readonly connectTo: string }, before: string): Promise<Outcome> {
    const fault = this.#fault;
    const strikes = "when" in fault;
    if (!strikes && fault.kind !== "bytes") this.hasStruck = true;
    const proxy = await faultyProxy(sockets, wayOf(fault), () => (strikes ? this.#strike() : (this.hasStruck = true)));
    try {
      return await this.#move(proxy, `unix:${sockets.listenAt}`, before);
    } finally {
      proxy.close();
    }
  }

  #strike(): void {
    if (this.hasStruck) return;
    this.hasStruck = true;
    if (this.#fault.kind === "cancel") {
      this.#source.machine.qmp.execute("migrate_cancel").catch(() => undefined);
      return;
    }
    this.#killed = this.#fault.kind === "kill source" ? "source" : "target";
    // As it stands in the middle of whatever it does.
    process.kill(this.#killed === "source" ? this.#source.pid : this.#target.pid, "SIGKILL");
  }

  async #move(proxy: FaultyProxy, uri: string, before: string): Promise<Outcome> {
    const fault = this.#fault;
    const { qmp } = this.#source.machine;
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 2000, "x-dirty-oracle": true });
    const when = "when" in fault ? fault.when : undefined;
    const byTime =
      when !== undefined && "afterMs" in when
        ? setTimeout(() => this.#strike(), (when.afterMs / 400) * this.#moveMs)
        : undefined;
    const isStall = fault.kind === "bytes" && ["stall", "swap", "lose"].includes(fault.fault.kind);
    const giveUp = setTimeout(
      () => void qmp.execute("migrate_cancel").catch(() => undefined),
      isStall ? STALLED_MS + this.#moveMs : LIMIT_MS,
    );
    try {
      await qmp.execute("migrate", { uri }).catch((error: Error) => (this.#error = error.message));
      const status = await this.#settled();
      const states = await this.#states();
      if (status === "completed" && states[1] === "running") {
        this.counts = { out: proxy.out.counts, back: proxy.back.counts, calls: USUAL_COUNTS.calls };
      }
      return await this.#judge(status, states, before);
    } finally {
      clearTimeout(byTime);
      clearTimeout(giveUp);
    }
  }

  async #judge(status: string, [source, target]: readonly [string, string], before: string): Promise<Outcome> {
    expectThat(source !== "running" || target !== "running", "both sides run");
    const isNothingWrong = this.#fault.kind === "none" && !this.#isOther;
    expectThat(!isNothingWrong || target === "running", `nothing was wrong: ${status}, ${this.#error}`);
    if (status === "failed") expectThat(/["\d]/.test(this.#error ?? ""), `the error names no section: ${this.#error}`);
    if (this.#killed === "source" && target !== "running") {
      await this.#end(this.#source);
      await this.#end(this.#target);
      this.#checkLocks(undefined);
      return "killed";
    }
    if (target === "running") {
      await this.#keep(this.#target, this.#source, before);
      return this.#killed === undefined ? "moved" : "killed";
    }
    expectThat(source !== "gone", `nobody has the machine: ${status}, the target ${target}`);
    if (source === "running") {
      expectThat(status !== "completed", "it runs on after it was moved");
      await this.#keep(this.#source, this.#target, before);
      return this.#killed === undefined ? "went on" : "killed";
    }
    expectThat(
      source === "postmigrate",
      `the source is ${source} after a migration that ${status}, the target ${target}`,
    );
    // An operator decides where both sides know only that the other one may have it.
    await this.#end(this.#target);
    await this.#source.machine.qmp.execute("cont");
    await this.#keep(this.#source, this.#target, before);
    return this.#killed === undefined ? "between" : "killed";
  }

  async #keep(survivor: Side, other: Side, before: string): Promise<void> {
    await this.#end(other);
    this.#checkLocks(survivor);
    await this.#guest.check(survivor.machine);
    let after = "";
    for (let i = 0; i < 50 && after !== before; i++) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      after = holdingsOf(survivor.pid);
    }
    expectThat(after === before, `the process that runs it holds ${after}, and the source held ${before}`);
    this.survivor = survivor;
  }

  async #end(side: Side): Promise<void> {
    await side.machine.end();
  }

  /** Each image belongs to who runs the machine. */
  #checkLocks(survivor: Side | undefined): void {
    for (const image of this.#guest.images) {
      const holders = holdersOf(image, [this.#source.pid, this.#target.pid]);
      const wanted = survivor === undefined ? [] : [survivor.pid];
      expectThat(
        holders.join() === wanted.join(),
        `${image} is locked by ${holders.join(", ")}, not by ${wanted.join(", ")}`,
      );
    }
  }

  /** The migration's last status, or `gone`. */
  async #settled(): Promise<string> {
    const when = "when" in this.#fault ? this.#fault.when : undefined;
    for (;;) {
      try {
        const info = (await this.#source.machine.qmp.execute("query-migrate")) as Message;
        const status = String(info["status"]);
        if (when !== undefined && "phase" in when && when.phase === status) this.#strike();
        if (this.#killed === "source") return "gone";
        if (info["status"] === undefined) return "failed";
        if (["completed", "failed", "cancelled"].includes(status)) {
          this.#error ??= info["error-desc"] as string | undefined;
          return status;
        }
      } catch {
        return "gone";
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(2, this.#moveMs / 100)));
    }
  }

  /** Of both, when the target has either got the machine or given up. */
  async #states(): Promise<[string, string]> {
    const end = performance.now() + SETTLING_MS;
    for (;;) {
      const target = await stateOf(this.#target, this.#killed === "target");
      if (target !== "inmigrate" || performance.now() > end) {
        return [await stateOf(this.#source, this.#killed === "source"), target];
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function wayOf(fault: Fault): WayFault | undefined {
  if (fault.kind === "bytes") return fault;
  if (!("when" in fault) || !("place" in fault.when)) return undefined;
  return { way: fault.when.way, fault: { kind: "tell", place: fault.when.place } };
}

/** A client of a process that was killed may never hear of it. */
async function stateOf({ machine }: Side, isKilled: boolean): Promise<string> {
  if (isKilled) return "gone";
  const told = machine.qmp.execute("query-status").then(
    (status) => String((status as Message)["status"]),
    () => "gone",
  );
  const late = new Promise<string>((resolve) => void setTimeout(resolve, 5000, "gone").unref());
  return Promise.race([told, late]);
}
