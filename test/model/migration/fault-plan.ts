// What can go wrong while a machine is moved, chosen from a seed.
import { Errno, FAIL_POINTS, type FailPoint } from "../../../src/iommufd/index.ts";
import type { MigrationPhase } from "../../../src/migration/index.ts";
import type { Random } from "../vfio/random.ts";
import type { WayFault } from "./faulty-pipe.ts";
import type { ByteFault } from "./faulty-stream.ts";
import type { FrameName, Place } from "./stream-watch.ts";

export type Side = "source" | "target";

/** When the byte passes, when the source gets there, or so long after the beginning. */
export type Moment =
  | { readonly way: WayFault["way"]; readonly place: Place }
  | { readonly phase: MigrationPhase }
  | { readonly afterMs: number };

export type WrongTarget =
  | "memory"
  | "machine version"
  | "harts"
  | "device missing"
  | "device more"
  | "kind"
  | "no migration";

export type Fault =
  | { readonly kind: "none" | "refuse switchover" | "other tracking" }
  | { readonly kind: "wrong target"; readonly what: WrongTarget }
  | ({ readonly kind: "bytes" } & WayFault)
  | { readonly kind: "cancel" | "kill source" | "kill target"; readonly when: Moment }
  /** A step inside a host. */
  | { readonly kind: "step"; readonly side: Side; readonly point: FailPoint; readonly nth: number }
  /** A call of a host, of all that the side makes; it alone, or all of its name from then on until the move is over. */
  | {
      readonly kind: "call";
      readonly side: Side;
      readonly nth: number;
      readonly errno: Errno;
      readonly reach: "call" | "kind";
    };

/** How much of everything there is in a move, so that what is chosen is there. */
export interface MoveCounts {
  readonly out: ReadonlyMap<FrameName, number>;
  readonly back: ReadonlyMap<FrameName, number>;
  readonly calls: Readonly<Record<Side, number>>;
}

/** Before a move was seen. */
export const USUAL_COUNTS: MoveCounts = {
  out: new Map<FrameName, number>([
    ...(["preamble", "machine", "stopped", "complete", "handover"] as const).map((name): [FrameName, number] => [
      name,
      1,
    ]),
    ...([
      ["pages", 60],
      ["part", 12],
      ["data", 3],
      ["dataEnd", 1],
      ["initialSent", 1],
    ] as [FrameName, number][]),
  ]),
  back: new Map<FrameName, number>([
    ["ready", 1],
    ["running", 1],
  ]),
  calls: { source: 60, target: 60 },
};

/** Steps of the host that a migration takes; others belong to making a machine. */
const POINTS: readonly FailPoint[] = FAIL_POINTS.filter((point) =>
  ["state", "data", "log", "tracking", "descriptor", "reply", "irq", "reset"].includes(point),
);
const ERRNOS: readonly Errno[] = [
  ...[Errno.EIO, Errno.ENODEV, Errno.EINVAL],
  ...[Errno.ENOMEM, Errno.EAGAIN, Errno.EOPNOTSUPP],
];
const WRONG_TARGETS: readonly WrongTarget[] = [
  ...(["memory", "machine version", "harts"] as const),
  ...(["device missing", "device more", "kind", "no migration"] as const),
];
const PHASES: readonly MigrationPhase[] = ["setup", "active", "pre-switchover", "device", "completed"];
const SIDES: readonly Side[] = ["source", "target"];
/** By time a move is over after some hundred milliseconds. */
const LATEST_MS = 400;

export function chooseFault(random: Random, counts: MoveCounts): Fault {
  const side = random.pick(SIDES);
  switch (random.between(0, 11)) {
    case 0:
      return { kind: random.pick(["none", "refuse switchover", "other tracking"] as const) };
    case 1:
      return { kind: "wrong target", what: random.pick(WRONG_TARGETS) };
    case 2:
      return { kind: "cancel", when: chooseMoment(random, counts) };
    case 3:
    case 4:
      return { kind: `kill ${side}`, when: chooseMoment(random, counts) };
    case 5:
    case 6:
      return { kind: "step", side, point: random.pick(POINTS), nth: random.between(1, random.pick([2, 8, 24])) };
    case 7:
    case 8:
      return {
        ...{ kind: "call", side, nth: random.between(1, counts.calls[side]) },
        ...{ errno: random.pick(ERRNOS), reach: random.pick(["call", "call", "kind"] as const) },
      };
    default:
      return { kind: "bytes", ...chooseBytes(random, counts) };
  }
}

/** Answers are few, and each of them matters. */
function chooseWay(random: Random): WayFault["way"] {
  return random.chance(1, 4) ? "back" : "out";
}

/** Any byte: mostly of any frame, as most bytes are pages, and what follows them is what is told apart. */
function choosePlace(random: Random, counts: ReadonlyMap<FrameName, number>): Place {
  if (random.chance(1, 5)) return { byte: random.between(0, random.pick([40, 2000, 200_000])) };
  const frame = random.pick([...counts.keys()]);
  const share = random.chance(1, 3) ? 0 : random.between(0, 1000) / 1000;
  return { frame, nth: random.between(1, counts.get(frame)!), share };
}

function chooseMoment(random: Random, counts: MoveCounts): Moment {
  if (random.chance(1, 6)) return { afterMs: random.between(0, LATEST_MS) };
  if (random.chance(1, 5)) return { phase: random.pick(PHASES) };
  const way = chooseWay(random);
  return { way, place: choosePlace(random, counts[way]) };
}

function chooseBytes(random: Random, counts: MoveCounts): WayFault {
  const way = chooseWay(random);
  const place = choosePlace(random, counts[way]);
  return { way, fault: chooseByteFault(random, place) };
}

function chooseByteFault(random: Random, place: Place): ByteFault {
  const kind = random.pick(["cut", "stall", "damage", "damage", "lose", "swap", "repeat"] as const);
  switch (kind) {
    case "damage":
      return { kind, place, by: random.between(1, 255) };
    case "lose":
      return { kind, place, bytes: random.pick([1, 4, 12, 4096, 2 ** 20]) };
    default:
      return { kind, place };
  }
}
