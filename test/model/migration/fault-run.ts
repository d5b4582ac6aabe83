// Machines moved while something goes wrong: whatever it is, never do both run, the source goes on unless it was given
// over, the guest has lost nothing, errors say where and why, and nothing stays open.
import type { BlockNode } from "../../../src/block/index.ts";
import { VmError } from "../../../src/base/index.ts";
import { FAIL_POINTS, type FailPoint } from "../../../src/iommufd/index.ts";
import {
  IncomingMigration,
  MigrationError,
  OutgoingMigration,
  type MigratableMachine,
} from "../../../src/migration/index.ts";
import { TRACKER_POLICIES } from "../../../src/vfio/index.ts";
import {
  ALL_ABILITIES,
  makeDisk,
  makeMovingGuest,
  until,
  type MovingDeviceSpec,
  type MovingGuest,
  type MovingGuestOptions,
} from "../../support/moving-guest.ts";
import { Random } from "../vfio/random.ts";
import { faultyPipe, type ByteFault } from "./faulty-pipe.ts";

/** What a run found wrong. */
export class FaultFinding extends Error {}

/** Steps of the host that a migration takes; others belong to making a machine. */
const POINTS: readonly FailPoint[] = FAIL_POINTS.filter((point) =>
  ["state", "data", "log", "tracking", "descriptor", "reply", "irq", "reset"].includes(point),
);
/** A byte of the stream, or of the answers. */
const STREAM_BYTES = 4_000_000;
const ANSWER_BYTES = 60;
/** Moves that one machine makes, or tries to, before another one takes its place. */
const MOVES_OF_A_MACHINE = 12;
const STALL_LIMIT_MS = 1000;
/** A channel that stalls before the machine stands still is given up by an operator. */
const STALLED_MS = 3000;
const LIMIT_MS = 60_000;

type Fault =
  | { readonly kind: "none" | "refuse switchover" }
  | { readonly kind: "bytes"; readonly out?: ByteFault; readonly back?: ByteFault }
  | { readonly kind: "cancel" | "kill source" | "kill target"; readonly afterMs: number }
  | { readonly kind: "source call" | "target call"; readonly point: FailPoint; readonly nth: number }
  | {
      readonly kind: "wrong target";
      readonly what: "memory" | "device missing" | "device more" | "kind" | "no migration";
    }
  | { readonly kind: "other tracking" };

export interface FaultFacts {
  readonly fault: string;
  readonly outcome: "moved" | "went on" | "between" | "killed";
}

export class FaultRuns {
  readonly #random: Random;
  #source: MovingGuest | undefined;
  #options: MovingGuestOptions = { devices: [] };
  #disk: BlockNode = makeDisk();
  #movesLeft = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** One move. Rejects with FaultFinding. */
  async run(): Promise<FaultFacts> {
    if (this.#source === undefined || this.#movesLeft-- === 0) await this.#begin();
    const source = this.#source!;
    const fault = this.#fault();
    const name = JSON.stringify(fault);
    const move = new FaultyMove(source, this.#target(fault), fault, STALL_LIMIT_MS);
    try {
      const outcome = await move.run();
      this.#source = outcome === "killed" ? undefined : move.survivor;
      if (outcome === "killed" && move.survivor !== undefined) this.#source = move.survivor;
      return { fault: name, outcome };
    } catch (error) {
      this.#source = undefined;
      await move.closeAll();
      if (!(error instanceof Error)) throw error;
      throw new FaultFinding(`${name}, devices ${JSON.stringify(this.#options)}: ${error.message}`, { cause: error });
    }
  }

  async end(): Promise<void> {
    await this.#source?.close();
    this.#source = undefined;
  }

  async #begin(): Promise<void> {
    await this.end();
    this.#movesLeft = MOVES_OF_A_MACHINE;
    this.#disk = makeDisk();
    const random = this.#random;
    const count = random.between(1, 3);
    const devices: MovingDeviceSpec[] = Array.from({ length: count }, (_, n) => ({
      kind: n === 0 && random.chance(2, 3) ? "nvme" : "dma-engine",
      dmaLog: random.chance(1, 2),
      // Alone a device needs no P2P.
      migration:
        count === 1 ? random.pick([ALL_ABILITIES, ["stop-copy"], ["stop-copy", "pre-copy"]] as const) : ALL_ABILITIES,
      profile: random.chance(1, 5) ? "vtd" : "vtd-ssads",
    }));
    this.#options = { devices, policy: random.pick(TRACKER_POLICIES), smp: random.pick([1, 1, 2]) };
    this.#source = makeMovingGuest({ ...this.#options, disk: this.#disk });
    this.#source.machine.start();
    await dots(this.#source, 2);
  }

  #target(fault: Fault): MovingGuest {
    const { devices } = this.#options;
    const options: MovingGuestOptions = { ...this.#options, disk: this.#disk, incoming: true };
    if (fault.kind === "other tracking") {
      return makeMovingGuest({ ...options, devices: devices.map((d) => ({ ...d, dmaLog: false, profile: "vtd" })) });
    }
    if (fault.kind !== "wrong target") return makeMovingGuest(options);
    const [first, ...rest] = devices;
    switch (fault.what) {
      case "memory":
        return makeMovingGuest({ ...options, memoryBytes: 15 << 20 });
      case "device missing":
        return makeMovingGuest({ ...options, devices: devices.slice(1) });
      case "device more":
        return makeMovingGuest({ ...options, devices: [...devices, { kind: "dma-engine" }] });
      case "kind":
        return makeMovingGuest({
          ...options,
          devices: [{ ...first!, kind: first!.kind === "nvme" ? "dma-engine" : "nvme" }, ...rest],
        });
      case "no migration":
        return makeMovingGuest({ ...options, devices: [{ ...first!, migration: [] }, ...rest] });
    }
  }

  #fault(): Fault {
    const random = this.#random;
    const afterMs = random.between(0, 400);
    const point = random.pick(POINTS);
    switch (random.between(0, 9)) {
      case 0:
        return { kind: random.pick(["none", "refuse switchover"] as const) };
      case 1:
        return { kind: "cancel", afterMs };
      case 2:
        return { kind: random.pick(["kill source", "kill target"] as const), afterMs };
      case 3:
      case 4:
        return { kind: "source call", point, nth: random.between(1, 24) };
      case 5:
        return { kind: "target call", point, nth: random.between(1, 24) };
      case 6:
        return {
          kind: "wrong target",
          what: random.pick(["memory", "device missing", "device more", "kind", "no migration"] as const),
        };
      case 7:
        return { kind: "other tracking" };
      case 8:
        return { kind: "bytes", back: this.#byteFault(ANSWER_BYTES) };
      default:
        return { kind: "bytes", out: this.#byteFault(random.pick([2000, 200_000, STREAM_BYTES])) };
    }
  }

  #byteFault(most: number): ByteFault {
    const random = this.#random;
    const at = random.between(0, most);
    const kind = random.pick(["cut", "end", "stall", "damage", "swap", "repeat"] as const);
    return kind === "damage" ? { kind, at, by: random.between(1, 255) } : { kind, at };
  }
}

type Settled = { readonly error: Error | undefined };

class FaultyMove {
  /** Who runs the guest at the end. */
  survivor: MovingGuest | undefined;
  readonly #source: MovingGuest;
  readonly #target: MovingGuest;
  readonly #fault: Fault;
  readonly #stallLimitMs: number;

  constructor(source: MovingGuest, target: MovingGuest, fault: Fault, stallLimitMs: number) {
    this.#source = source;
    this.#target = target;
    this.#fault = fault;
    this.#stallLimitMs = stallLimitMs;
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled([this.#source.close(), this.#target.close()]);
  }

  async run(): Promise<FaultFacts["outcome"]> {
    const source = this.#source;
    const target = this.#target;
    const fault = this.#fault;
    const audit = auditOf(source);
    const pipe = faultyPipe(fault.kind === "bytes" ? fault : {});
    const { timers, yield: turns } = source.host;
    const outgoing = new OutgoingMigration({
      ...{ machine: source.machine.movable, channel: pipe.source, timers, yield: turns },
      parameters: {
        maxBandwidth: 0,
        dirtyOracle: true,
        downtimeLimitMs: 2000,
        stallLimitMs: this.#stallLimitMs,
        switchoverAck: true,
      },
    });
    const isRefusing = fault.kind === "refuse switchover";
    const arriving: MigratableMachine = isRefusing ? refusing(target.machine.movable) : target.machine.movable;
    const incoming = new IncomingMigration({ machine: arriving, channel: pipe.target, start: true });
    if (fault.kind === "source call") source.software.host.failNext(fault.point, fault.nth);
    if (fault.kind === "target call") target.software.host.failNext(fault.point, fault.nth);
    const strike = this.#strike(outgoing, pipe.source.close);
    const coming = settled(incoming.run());
    const going = settled(outgoing.run());
    // A channel that stalls while the source runs holds nothing up; somebody gives up in the end.
    const isStall = fault.kind === "bytes" && (fault.out ?? fault.back)?.kind === "stall";
    const limit = setTimeout(() => outgoing.cancel(), isStall ? STALLED_MS : LIMIT_MS);
    const out = await going;
    clearTimeout(limit);
    if (out.error !== undefined) pipe.source.close();
    const into = await coming;
    const killed = strike();
    if (out.error === undefined || outgoing.wasHandedOver) source.machine.handedOver();
    checkError(out.error);
    checkError(into.error);
    const oracle = outgoing.progress.oracle;
    expectThat(
      oracle === undefined || oracle.missedPages === 0,
      `pages were missed: ${JSON.stringify(oracle?.missed)}`,
    );
    return this.#judge(outgoing, { out, into }, { audit, killed });
  }

  /** What happens at some time, if it is not called off before; that returns who was killed. */
  #strike(outgoing: OutgoingMigration, close: () => void): () => "source" | "target" | undefined {
    const fault = this.#fault;
    let killed: "source" | "target" | undefined;
    let timer: NodeJS.Timeout | undefined;
    if (fault.kind === "cancel") timer = setTimeout(() => outgoing.cancel(), fault.afterMs);
    if (fault.kind === "kill source" || fault.kind === "kill target") {
      timer = setTimeout(() => {
        killed = fault.kind === "kill source" ? "source" : "target";
        // What a process has goes with it: its end of the channel first of all.
        close();
        const { machine } = killed === "source" ? this.#source : this.#target;
        machine.quit("host-quit");
      }, fault.afterMs);
    }
    return () => {
      clearTimeout(timer);
      return killed;
    };
  }

  async #judge(
    outgoing: OutgoingMigration,
    { out, into }: { readonly out: Settled; readonly into: Settled },
    { audit, killed }: { readonly audit: string; readonly killed: "source" | "target" | undefined },
  ): Promise<FaultFacts["outcome"]> {
    const source = this.#source;
    const target = this.#target;
    const runs = [source, target].map(({ machine }) => machine.runState === "running");
    expectThat(!(runs[0]! && runs[1]!), "both sides run");
    expectThat(source.machine.movable.notes.openEpochs === 0, "the source still counts dirty pages");
    // The host's failure may still be waiting for a step that nobody took.
    source.software.host.memory.forgetFailures();
    target.software.host.memory.forgetFailures();
    if (killed !== undefined) return this.#afterKill(killed, runs);
    if (into.error === undefined) {
      expectThat(runs[1]!, `the target has it and is ${target.machine.runState}`);
      expectThat(out.error === undefined || outgoing.wasHandedOver, "the source thinks that it still has it");
      await this.#keep(target, source);
      return "moved";
    }
    expectThat(!runs[1]!, "a target that failed runs");
    if (!outgoing.wasHandedOver) {
      expectThat(out.error !== undefined, "the source thinks that it was taken");
      expectThat(runs[0]!, `the source is ${source.machine.runState} after ${out.error?.message}`);
      expectThat(auditOf(source) === audit, `the source holds ${auditOf(source)}, and held ${audit}`);
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
    await other.close();
    expectThat(isEmpty(auditOf(other)), `the other side leaves ${auditOf(other)}`);
    await dots(survivor, 2);
    this.survivor = survivor;
  }

  async #afterKill(killed: "source" | "target", runs: readonly boolean[]): Promise<FaultFacts["outcome"]> {
    const [dead, alive, aliveRuns] =
      killed === "source" ? [this.#source, this.#target, runs[1]!] : [this.#target, this.#source, runs[0]!];
    await dead.close();
    expectThat(isEmpty(auditOf(dead)), `the killed side leaves ${auditOf(dead)}`);
    if (killed === "source" && !aliveRuns) {
      await alive.close();
      expectThat(isEmpty(auditOf(alive)), `the target leaves ${auditOf(alive)}`);
      return "killed";
    }
    if (!aliveRuns) await alive.machine.resume();
    await dots(alive, 2);
    this.survivor = alive;
    return "killed";
  }
}

/** A target whose disk another machine has. */
function refusing(machine: MigratableMachine): MigratableMachine {
  const { machineType, blocks, notes, parts, streams, isRunning } = machine;
  return {
    ...{ machineType, blocks, notes, parts, streams, isRunning },
    stop: () => machine.stop(),
    start: () => machine.start(),
    takeOver: () => Promise.reject(new MigrationError("blocked", "Another machine has the disk")),
  };
}

async function settled(run: Promise<void>): Promise<Settled> {
  try {
    await run;
    return { error: undefined };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error };
  }
}

function checkError(error: Error | undefined): void {
  if (error === undefined) return;
  expectThat(error instanceof VmError, `an error of our own: ${error.stack ?? error.message}`);
  expectThat(error.message.length > 20, `an error that says nothing: ${error.message}`);
}

function auditOf({ software }: MovingGuest): string {
  return JSON.stringify(software.vfio.audit());
}

function isEmpty(audit: string): boolean {
  return Object.values(JSON.parse(audit) as Record<string, number>).every((count) => count === 0);
}

/** So many more dots. A device that had to be reset was started again by the guest (`r`, `R`); it says `LOST` otherwise. */
async function dots({ machine, text }: MovingGuest, count: number): Promise<void> {
  const before = text.value.length;
  const seen = (): number => text.value.slice(before).replaceAll(/[^.]/g, "").length;
  await until(() => seen() >= count || machine.runState !== "running" || text.value.includes("\n"));
  expectThat(/^[.rR]*$/.test(text.value), `the guest says ${text.value.trim()}`);
  expectThat(machine.runState === "running", `the guest is ${machine.runState}`);
}

function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new FaultFinding(otherwise);
}
