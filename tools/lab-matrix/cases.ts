// What `ratite lab migrate` must do on each host of the seed's matrix: policies × hosts × who makes page tables, and where
// a move is allowed × harts × channels too. Where it is not, harts and channels change nothing: these are one case.
import { labHost } from "../../src/cli/lab/lab-host.ts";
import { plannedMove } from "../../src/cli/lab/migrate.ts";
import type { ChannelKind } from "../../src/cli/lab/moves.ts";
import { DMA_MODES, TRACKER_POLICIES, type DmaMode, type TrackerPolicy } from "../../src/vfio/index.ts";
import { Random } from "../../test/model/vfio/random.ts";

/** Of the guest; the harts' work is not slowed by more of it, but all of it is compared in each round. */
export const MEMORY_BYTES: number = 192 * 2 ** 20;

interface Place {
  readonly host: string;
  readonly policy: TrackerPolicy;
  readonly dmaMode: DmaMode;
}

export interface MovedCase extends Place {
  readonly harts: number;
  readonly channel: ChannelKind;
}

export type LabCase = ({ readonly isAllowed: true } & MovedCase) | ({ readonly isAllowed: false } & Place);

const SHARES = ["all", "none", "first", "second"];
const HARTS = [1, 4];
const CHANNELS: readonly ChannelKind[] = ["unix", "tcp"];

/** `mixed × all/first × hwpt × 4 × tcp`, `mixed × none/none × hwpt × refused`. */
export function caseName(what: LabCase): string {
  const place = [what.policy, what.host, what.dmaMode];
  return [...place, ...(what.isAllowed ? [what.harts, what.channel] : ["refused"])].join(" × ");
}

/**
 * All of them, in an order that depends on `seed`, so that however few are run they are spread. What has been had already in
 * another form comes later: each place with one number of harts by one channel first, then with the other one by the other
 * one, and so on; mediated devices and the kernel's page tables after the rest.
 */
export function labCases(seed: number): readonly LabCase[] {
  const random = new Random(seed);
  return places()
    .flatMap((place) => casesOf(place, random.between(0, 3)))
    .map((ranked) => ({ ...ranked, at: random.between(0, 2 ** 30) }))
    .sort((a, b) => a.rank - b.rank || a.at - b.at)
    .map(({ what }) => what);
}

function places(): readonly Place[] {
  return ["", "/mdev", "/both"].flatMap((kinds) =>
    DMA_MODES.flatMap((dmaMode) =>
      SHARES.flatMap((units) =>
        SHARES.flatMap((logs) =>
          TRACKER_POLICIES.map((policy) => ({ host: `${units}/${logs}${kinds}`, policy, dmaMode })),
        ),
      ),
    ),
  );
}

/** `turn` (0 to 3) says which of the four ways to move comes first. */
function casesOf(place: Place, turn: number): readonly { readonly what: LabCase; readonly rank: number }[] {
  const { host, policy, dmaMode } = place;
  const isFirst = dmaMode === "hwpt" && !/mdev|both/.test(host);
  const plan = plannedMove({ host: labHost(host), policy, dmaMode, memoryBytes: MEMORY_BYTES });
  if (plan.reasons.length > 0) return [{ what: { ...place, isAllowed: false }, rank: isFirst ? 0 : 4 }];
  // Mediated devices have neither units nor page tables.
  if (host.endsWith("/mdev") && (dmaMode !== "hwpt" || !host.startsWith("none/"))) return [];
  return HARTS.flatMap((harts, h) =>
    CHANNELS.map((channel, c) => ({
      what: { ...place, isAllowed: true as const, harts, channel },
      rank: (isFirst ? 0 : 4) + ((((h + c) % 2) * 2 + h + turn) % 4),
    })),
  );
}
