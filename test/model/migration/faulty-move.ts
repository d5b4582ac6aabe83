// One move while something goes wrong: whatever it is, never do both run, the source goes on unless it was given over, the
// guest has lost nothing, errors say where and why, and nothing stays open.
import {
  IncomingMigration,
  OutgoingMigration,
  type MigratableMachine,
  type MigrationPhase,
} from "../../../src/migration/index.ts";
import { until, type MovingGuest } from "../../support/moving-guest.ts";
import type { FaultSeam } from "../vfio/fault-seam.ts";
import { NOTHING_LEFT } from "../vfio/faults.ts";
import { complaintsAbout } from "./expected-errors.ts";
import { expectThat } from "./fault-finding.ts";
import type { Fault, Moment, MoveCounts, Side } from "./fault-plan.ts";
import { faultyPipe, type FaultyPipe, type WayFault } from "./faulty-pipe.ts";
import type { Struck } from "./faulty-stream.ts";
import type { Sabotage } from "./sabotage.ts";

export type Outcome = "moved" | "went on" | "between" | "killed";

/** What is waited for where a channel is to stall; elsewhere a busy host is no reason to give up. */
const STALL_LIMIT_MS = 1000;
/** A channel that stalls before the machine stands still is given up by an operator. */
const STALLED_MS = 3000;
const LIMIT_MS = 300_000;
const NO_VFIO_LEFT = JSON.stringify({ boundDevices: 0, eventFds: 0, mappings: 0, dataFiles: 0 });

export interface FaultyMoveOptions {
  readonly source: MovingGuest;
  readonly target: MovingGuest;
  /** The target as the migration sees it. */
  readonly arriving: MigratableMachine;
  readonly fault: Fault;
  readonly seam: FaultSeam;
  readonly sabotage: Sabotage | undefined;
  /** Waits before the switchover, until it is told to go on. */
  readonly pauses: boolean;
  readonly throttlesDevices: boolean;
}

interface Ended {
  readonly outgoing: OutgoingMigration;
  readonly out: Error | undefined;
  readonly into: Error | undefined;
}

export class FaultyMove {
  /** Who runs the guest at the end. */
  survivor: MovingGuest | undefined;
  /** What was to go wrong did. */
  hasStruck = false;
  /** Of a move that came to its end. */
  counts: MoveCounts | undefined;
  readonly #options: FaultyMoveOptions;
  #call = "";
  readonly #calls: Record<Side, number> = { source: 0, target: 0 };
  #struck: Struck | undefined;
  #killed: Side | undefined;
  #strike: (() => void) | undefined;

  constructor(options: FaultyMoveOptions) {
    this.#options = options;
  }

  /** What went wrong, for messages. */
  get title(): string {
    return `${JSON.stringify(this.#options.fault)}${this.#call === "" ? "" : ` (${this.#call})`}`;
  }

  async closeAll(): Promise<void> {
    const { source, target, seam } = this.#options;
    await Promise.allSettled([source.close(), target.close()]);
    seam.forget(source.software.host);
    seam.forget(target.software.host);
  }

  async run(): Promise<Outcome> {
    const { source, sabotage, target } = this.#options;
    const before = this.#holdings(source);
    const ended = await this.#move();
    await sabotage?.afterwards?.(source, target);
    const { outgoing, out, into } = ended;
    const complaints = complaintsAbout(this.#options.fault, this.#struck, { source: out, target: into });
    // Who is killed says nothing, or what it likes.
    expectThat(complaints.length === 0 || this.#killed !== undefined, complaints.join("; "));
    const { oracle } = outgoing.progress;
    expectThat(
      oracle === undefined || oracle.missedPages === 0,
      `pages were missed: ${JSON.stringify(oracle?.missed)}`,
    );
    return this.#judge(ended, before);
  }

  async #move(): Promise<Ended> {
    const { source, target, arriving, fault, sabotage, pauses, throttlesDevices, seam } = this.#options;
    const pipe = faultyPipe(wayFault(fault), (struck) => {
      this.#struck = struck;
      this.#strike?.();
    });
    // Who waits for what was lost waits as for a channel that stalls; so does who believes in a damaged length.
    const isStall = fault.kind === "bytes" && fault.fault.kind !== "cut";
    const { timers, yield: turns } = source.host;
    const { movable } = source.machine;
    const outgoing = new OutgoingMigration({
      ...{ machine: sabotage?.source?.(movable) ?? movable, channel: pipe.source, timers, yield: turns },
      parameters: {
        ...{ maxBandwidth: 0, downtimeLimitMs: LIMIT_MS, switchoverAck: true },
        stallLimitMs: isStall ? STALL_LIMIT_MS : LIMIT_MS,
        ...{ dirtyOracle: sabotage?.hasNoOracle !== true, pauseBeforeSwitchover: pauses },
        deviceThrottlePercent: throttlesDevices ? 80 : 0,
      },
      onPhase: (phase) => this.#entered(phase, outgoing),
    });
    const incoming = new IncomingMigration({
      machine: sabotage?.target?.(arriving) ?? arriving,
      channel: pipe.target,
      starts: () => true,
    });
    this.#prepare(outgoing, pipe.close);
    const coming = settled(incoming.run());
    const going = settled(outgoing.run());
    // A channel that stalls while the source runs holds nothing up; somebody gives up in the end.
    const limit = setTimeout(() => outgoing.cancel(), isStall ? STALLED_MS : LIMIT_MS);
    const timer = this.#strikeByTime();
    const out = await going;
    clearTimeout(limit);
    if (out !== undefined) pipe.source.close();
    const into = await coming;
    clearTimeout(timer);
    this.#strike = undefined;
    this.#end(pipe);
    seam.decide = () => undefined;
    if (out === undefined || outgoing.wasHandedOver) source.machine.handedOver();
    if (out === undefined && into === undefined) {
      this.counts = { out: pipe.out.counts, back: pipe.back.counts, calls: { ...this.#calls } };
    }
    // A failure may still be waiting for a step that nobody took.
    for (const { software } of [source, target]) software.host.memory.forgetFailures();
    return { outgoing, out, into };
  }

  /** Whatever is to go wrong waits for its moment. */
  #prepare(outgoing: OutgoingMigration, close: () => void): void {
    const { source, target, fault, seam } = this.#options;
    const guests = { source, target };
    seam.decide = ({ host, name, path }) => {
      // A register that the guest reads or writes is its device's own affair; a stream's descriptor has no path.
      if (path !== "" && (name === "read" || name === "write")) return undefined;
      const side = host === source.software.host ? "source" : "target";
      const n = ++this.#calls[side];
      if (fault.kind !== "call" || fault.side !== side) return undefined;
      if (n === fault.nth) this.#call = name;
      const fails = n === fault.nth || (fault.reach === "kind" && name === this.#call);
      if (fails) this.#struck ??= { position: n, frame: undefined };
      return fails ? fault.errno : undefined;
    };
    if (fault.kind === "step") guests[fault.side].software.host.failNext(fault.point, fault.nth);
    if (fault.kind === "cancel") this.#strike = this.#once(() => outgoing.cancel());
    if (fault.kind === "kill source" || fault.kind === "kill target") {
      const side = fault.kind === "kill source" ? "source" : "target";
      this.#strike = this.#once(() => {
        this.#killed = side;
        // What a process has goes with it: its end of the channel first of all.
        close();
        guests[side].machine.quit("host-quit");
      });
    }
  }

  #once(strike: () => void): () => void {
    return () => {
      if (this.hasStruck) return;
      this.hasStruck = true;
      strike();
    };
  }

  #entered(phase: MigrationPhase, outgoing: OutgoingMigration): void {
    const when = momentOf(this.#options.fault);
    if (when !== undefined && "phase" in when && when.phase === phase) this.#strike?.();
    if (phase === "pre-switchover") setTimeout(() => outgoing.proceed(), 2);
  }

  #strikeByTime(): NodeJS.Timeout | undefined {
    const when = momentOf(this.#options.fault);
    return when !== undefined && "afterMs" in when ? setTimeout(() => this.#strike?.(), when.afterMs) : undefined;
  }

  /** Whether anything went wrong at all. */
  #end({ out, back }: FaultyPipe): void {
    const { fault, source, target } = this.#options;
    if (fault.kind === "bytes") this.hasStruck = (out.struck ?? back.struck) !== undefined;
    else if (fault.kind === "call") this.hasStruck = this.#struck !== undefined;
    else if (fault.kind === "step") {
      this.hasStruck = !(fault.side === "source" ? source : target).software.host.awaitsFailure;
    } else if (fault.kind !== "cancel" && this.#killed === undefined && momentOf(fault) === undefined) {
      this.hasStruck = true;
    }
  }

  async #judge({ outgoing, out, into }: Ended, before: string): Promise<Outcome> {
    const { source, target } = this.#options;
    const runs = [source, target].map(({ machine }) => machine.runState === "running");
    expectThat(!(runs[0]! && runs[1]!), "both sides run");
    expectThat(source.machine.movable.notes.openEpochs === 0, "the source still counts dirty pages");
    if (this.#killed !== undefined) return this.#afterKill(this.#killed, runs);
    if (into === undefined) {
      expectThat(runs[1]!, `the target has it and is ${target.machine.runState}`);
      expectThat(out === undefined || outgoing.wasHandedOver, "the source thinks that it still has it");
      await this.#keep(target, source);
      return "moved";
    }
    expectThat(!runs[1]!, "a target that failed runs");
    if (!outgoing.wasHandedOver) {
      expectThat(out !== undefined, "the source thinks that it was taken");
      expectThat(runs[0]!, `the source is ${source.machine.runState} after ${out?.message}`);
      const after = this.#holdings(source);
      expectThat(after === before, `the source holds ${firstDifference(after, before)}`);
      await this.#keep(source, target);
      return "went on";
    }
    // The last word was lost: nobody runs it until an operator says who does.
    expectThat(!runs[0]!, "a source that gave the machine over runs");
    await source.machine.resume();
    await this.#keep(source, target);
    return "between";
  }

  /** The guest goes on at one side, and has lost nothing; the other side goes, and leaves nothing. */
  async #keep(survivor: MovingGuest, other: MovingGuest): Promise<void> {
    await this.#close(other, "the other side");
    await dots(survivor, 2);
    this.survivor = survivor;
  }

  async #afterKill(killed: Side, runs: readonly boolean[]): Promise<Outcome> {
    const { source, target } = this.#options;
    const [dead, alive, aliveRuns] = killed === "source" ? [source, target, runs[1]!] : [target, source, runs[0]!];
    await this.#close(dead, "the killed side");
    if (killed === "source" && !aliveRuns) {
      await this.#close(alive, "the target");
      return "killed";
    }
    if (!aliveRuns) await alive.machine.resume();
    await dots(alive, 2);
    this.survivor = alive;
    return "killed";
  }

  async #close(guest: MovingGuest, who: string): Promise<void> {
    const { seam, sabotage } = this.#options;
    const { host } = guest.software;
    if (sabotage?.leavesOther !== true) await guest.close();
    const left = [JSON.stringify(seam.audit(host)), JSON.stringify(guest.software.vfio.audit())];
    expectThat(left[0] === NOTHING_LEFT && left[1] === NO_VFIO_LEFT, `${who} leaves ${left.join(" and ")}`);
    seam.forget(host);
  }

  /** What a side holds of its host: objects, areas, page tables, pins, descriptors, open streams. */
  #holdings({ software }: MovingGuest): string {
    const { host, vfio } = software;
    const holdings = [this.#options.seam.audit(host), vfio.audit(), host.snapshot()];
    return JSON.stringify(holdings, (key, value: unknown) => {
      if (typeof value === "bigint") return value.toString();
      // Pages become dirty while the machine runs: the last digit of an entry.
      return key === "entries" ? (value as string[]).map((entry) => entry.replace(/ \d+$/, "")) : value;
    });
  }
}

function firstDifference(after: string, before: string): string {
  let at = 0;
  while (at < after.length && after[at] === before[at]) at++;
  const around = (text: string): string => text.slice(Math.max(0, at - 200), at + 100);
  return `${around(after)}, and held ${around(before)}`;
}

function momentOf(fault: Fault): Moment | undefined {
  return "when" in fault ? fault.when : undefined;
}

/** What the pipe has to do with a fault. */
function wayFault(fault: Fault): WayFault | undefined {
  if (fault.kind === "bytes") return fault;
  const when = momentOf(fault);
  if (when === undefined || !("place" in when)) return undefined;
  return { way: when.way, fault: { kind: "tell", place: when.place } };
}

async function settled(run: Promise<void>): Promise<Error | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** So many more dots. A device that had to be reset was started again by the guest (`r`, `R`); it says `LOST` otherwise. */
export async function dots({ machine, text }: MovingGuest, count: number): Promise<void> {
  const before = text.value.length;
  const seen = (): number => text.value.slice(before).replaceAll(/[^.]/g, "").length;
  await until(() => seen() >= count || machine.runState !== "running", LIMIT_MS);
  expectThat(/^[.rR]*$/.test(text.value), `the guest says ${text.value.trim().replaceAll("\n", " ")}`);
  expectThat(machine.runState === "running", `the guest is ${machine.runState}`);
}
