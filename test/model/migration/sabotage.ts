// Migrations that are broken on purpose, each in one way, for fault runs to find.
import { MigrationError, type MigratableMachine, type StreamedPart } from "../../../src/migration/index.ts";
import type { MovingGuest } from "../../support/moving-guest.ts";
import type { Fault } from "./fault-plan.ts";

export interface Sabotage {
  /** Under which it shows. */
  readonly fault: Fault;
  /** What the finding says. */
  readonly finding: RegExp;
  /** A side as the migration sees it. */
  readonly source?: (machine: MigratableMachine) => MigratableMachine;
  readonly target?: (machine: MigratableMachine) => MigratableMachine;
  /** What both sides do when it is over. */
  readonly afterwards?: (source: MovingGuest, target: MovingGuest) => Promise<void>;
  /** The side that is not needed any more is never closed. */
  readonly leavesOther?: boolean;
  /** The guest alone may notice. */
  readonly hasNoOracle?: boolean;
}

const SERVES: Fault = { kind: "none" };
const CANCELS: Fault = { kind: "cancel", when: { phase: "device" } };

export const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  "the source goes on after it gave the machine over": {
    fault: SERVES,
    finding: /both sides run/,
    afterwards: (source) => source.machine.resume(),
  },
  "the source does not go on": {
    fault: CANCELS,
    finding: /the source is .* after The migration was cancelled/,
    source: (machine) => changed(machine, { start: () => undefined }),
  },
  "pages are lost, and the oracle looks": {
    fault: SERVES,
    finding: /pages were missed/,
    source: losingPages,
  },
  "pages are lost, and only the guest can tell": {
    fault: SERVES,
    finding: /the guest says LOST/,
    source: losingPages,
    hasNoOracle: true,
  },
  "a byte of memory is changed on its way": {
    fault: SERVES,
    finding: /the guest says LOST page/,
    afterwards: async (_source, { machine }) => {
      const ram = machine.movable.blocks.find(({ name }) => name.includes("ram"))!;
      // The pages of hart 0, of which each has been written by now or is zero.
      for (let page = 0; page < 256; page++) ram.bytes[0x20_0000 + page * 4096]! ^= 1;
    },
  },
  "a device's stream stays open": {
    fault: { kind: "cancel", when: { phase: "active" } },
    finding: /the source holds /,
    source: (machine) => changed(machine, { streams: withParts(machine, { endSave: () => undefined }) }),
  },
  "dirty pages are counted for ever": {
    fault: CANCELS,
    finding: /the source still counts dirty pages/,
    afterwards: async ({ machine }) => void machine.movable.notes.openEpoch("nobody"),
  },
  "the other side stays": {
    fault: SERVES,
    finding: /the other side leaves /,
    leavesOther: true,
  },
  "an error does not say what failed": {
    fault: { kind: "step", side: "target", point: "reset", nth: 1000 },
    finding: /the target's error names no section: It failed/,
    target: (machine) =>
      changed(machine, { takeOver: () => Promise.reject(new MigrationError("blocked", "It failed")) }),
  },
};

function changed(machine: MigratableMachine, changes: Partial<MigratableMachine>): MigratableMachine {
  return new Proxy(machine, {
    get(of, name) {
      const value: unknown = name in changes ? changes[name as keyof MigratableMachine] : Reflect.get(of, name, of);
      return typeof value === "function" ? (value as () => unknown).bind(of) : value;
    },
  });
}

function withParts(machine: MigratableMachine, changes: Partial<StreamedPart>): MigratableMachine["streams"] {
  return new Map(
    [...machine.streams].map(([name, part]) => [
      name,
      new Proxy(part, {
        get(of, key) {
          const value: unknown = key in changes ? changes[key as keyof StreamedPart] : Reflect.get(of, key, of);
          return typeof value === "function" ? (value as () => unknown).bind(of) : value;
        },
      }),
    ]),
  );
}

/** Of the pages of guest memory that are found dirty, every other one is forgotten. */
function losingPages(machine: MigratableMachine): MigratableMachine {
  const { notes } = machine;
  const openEpoch: typeof notes.openEpoch = (name) => {
    const epoch = notes.openEpoch(name);
    const read: typeof epoch.read = (into) => {
      const round = epoch.read(into);
      if (into === undefined) return round;
      for (let page = 0; page < into.pageCount; page += 2) into.delete(page, 1);
      return round;
    };
    return new Proxy(epoch, {
      get(of, key) {
        const value: unknown = key === "read" ? read : Reflect.get(of, key, of);
        return typeof value === "function" ? (value as () => unknown).bind(of) : value;
      },
    });
  };
  const lossy = new Proxy(notes, {
    get(of, key) {
      const value: unknown = key === "openEpoch" ? openEpoch : Reflect.get(of, key, of);
      return typeof value === "function" ? (value as () => unknown).bind(of) : value;
    },
  });
  return changed(machine, { notes: lossy });
}
