// Machines moved while something goes wrong, one after the other: what moves, to where, and what it was like.
import type { BlockNode } from "../../../src/block/index.ts";
import { MigrationError, type MigratableMachine } from "../../../src/migration/index.ts";
import { TRACKER_POLICIES } from "../../../src/vfio/index.ts";
import {
  ALL_ABILITIES,
  makeDisk,
  makeMovingGuest,
  type MovingDeviceSpec,
  type MovingGuest,
  type MovingGuestOptions,
} from "../../support/moving-guest.ts";
import { FaultSeam } from "../vfio/fault-seam.ts";
import { Random } from "../vfio/random.ts";
import { FaultFinding } from "./fault-finding.ts";
import { chooseFault, USUAL_COUNTS, type Fault, type MoveCounts } from "./fault-plan.ts";
import { dots, FaultyMove, type Outcome } from "./faulty-move.ts";
import type { Sabotage } from "./sabotage.ts";

/** Moves that one machine makes, or tries to, before another one takes its place. */
const MOVES_OF_A_MACHINE = 12;

export interface FaultFacts {
  readonly fault: string;
  readonly outcome: Outcome;
  /** What was to go wrong did; the move may have been over before. */
  readonly hasStruck: boolean;
}

export interface FaultRunsOptions {
  /** Instead of what the seed says. */
  readonly fault?: Fault;
  /** What is broken on purpose, for runs to find. */
  readonly sabotage?: Sabotage;
}

export class FaultRuns {
  readonly #random: Random;
  readonly #given: FaultRunsOptions;
  readonly #seam = new FaultSeam().open();
  #source: MovingGuest | undefined;
  #options: MovingGuestOptions = { devices: [] };
  #disk: BlockNode = makeDisk();
  #movesLeft = 0;
  #counts: MoveCounts = USUAL_COUNTS;

  constructor(seed: number, given: FaultRunsOptions = {}) {
    this.#random = new Random(seed);
    this.#given = given;
  }

  /** One move. Rejects with FaultFinding. */
  async run(): Promise<FaultFacts> {
    if (this.#source === undefined || this.#movesLeft-- === 0) await this.#begin();
    const source = this.#source!;
    const random = this.#random;
    const fault = this.#given.fault ?? chooseFault(random, this.#counts);
    const target = this.#target(fault);
    const move = new FaultyMove({
      ...{ source, target, fault, seam: this.#seam, sabotage: this.#given.sabotage },
      arriving: arriving(target, fault),
      pauses: random.chance(1, 4),
      throttlesDevices: random.chance(1, 4),
    });
    try {
      const outcome = await move.run();
      this.#source = move.survivor;
      if (move.counts !== undefined) this.#counts = move.counts;
      return { fault: move.title, outcome, hasStruck: move.hasStruck };
    } catch (error) {
      this.#source = undefined;
      await move.closeAll();
      if (!(error instanceof Error)) throw error;
      const message = `${move.title}, devices ${JSON.stringify(this.#options)}: ${error.message}`;
      throw new FaultFinding(message, { cause: error });
    }
  }

  async end(): Promise<void> {
    await this.#closeSource();
    this.#seam.close();
  }

  async #closeSource(): Promise<void> {
    await this.#source?.close();
    this.#source = undefined;
  }

  async #begin(): Promise<void> {
    await this.#closeSource();
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
    this.#counts = USUAL_COUNTS;
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
      case "machine version":
        return makeMovingGuest(options);
      case "harts":
        return makeMovingGuest({ ...options, smp: options.smp === 1 ? 2 : 1 });
      case "device missing":
        return makeMovingGuest({ ...options, devices: devices.slice(0, -1) });
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
}

/** The target as the migration sees it. */
function arriving({ machine: { movable } }: MovingGuest, fault: Fault): MigratableMachine {
  const { machineType, blocks, memory, notes, parts, streams, isRunning } = movable;
  const same = {
    ...{ machineType, blocks, memory, notes, parts, streams, isRunning },
    stop: () => movable.stop(),
    start: () => movable.start(),
    takeOver: () => movable.takeOver!(),
  };
  if (fault.kind === "wrong target" && fault.what === "machine version") return { ...same, machineType: "virt-9.9" };
  if (fault.kind !== "refuse switchover") return movable;
  return { ...same, takeOver: () => Promise.reject(new MigrationError("blocked", "Another machine has the disk")) };
}
