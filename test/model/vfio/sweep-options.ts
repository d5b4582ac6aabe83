// Every combination of the options of `-object iommufd` and `-device vfio-pci` on hosts that differ in what they can: the
// devices are taken and do what was asked, with a warning for what they cannot, or refused with what would do.
import { VmError } from "../../../src/base/index.ts";
import { readHostDescription } from "../../../src/iommufd/index.ts";
import { readVfioPciConfig, TRACKER_POLICIES, type Assignment, type TrackerPolicy } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import { makeBackend } from "./backend-bench.ts";

const FIRST = "0000:01:00.0";
const SECOND = "0000:02:00.0";

type Name = "enable-migration" | "x-device-dirty-page-tracking" | "x-dma-mode" | "host" | "sysfsdev";
const VALUES: Readonly<Record<Name, readonly (string | undefined)[]>> = {
  "enable-migration": [undefined, "on", "off", "auto", "maybe"],
  "x-device-dirty-page-tracking": [undefined, "on", "off", "auto", ""],
  "x-dma-mode": [undefined, "hwpt", "ioas", "native"],
  host: [FIRST, "01:00.0", "0000:09:00.0", "m0", "", undefined],
  sysfsdev: [undefined, `/sys/bus/pci/devices/${FIRST}`, "/"],
};
const NAMES = Object.keys(VALUES) as Name[];

/** What both devices can. */
interface Able {
  readonly bits: boolean;
  readonly log: boolean;
  readonly migration: readonly string[];
}
const ABLE: readonly Able[] = [
  { bits: true, log: true, migration: ["stop-copy", "p2p"] },
  { bits: true, log: false, migration: ["stop-copy", "p2p"] },
  { bits: false, log: true, migration: ["stop-copy"] },
  { bits: false, log: false, migration: ["stop-copy", "p2p", "pre-copy"] },
  { bits: true, log: true, migration: [] },
];

export interface OptionCase {
  readonly policy: TrackerPolicy;
  readonly able: Able;
  readonly options: Readonly<Partial<Record<Name, string>>>;
}

/** Of all cases every `stride`-th. */
export function* optionCases(stride: number): Generator<OptionCase> {
  const total =
    NAMES.reduce((product, name) => product * VALUES[name].length, 1) * TRACKER_POLICIES.length * ABLE.length;
  for (let index = 0; index < total; index += stride) {
    let rest = index;
    const take = <T>(from: readonly T[]): T => {
      const at = rest % from.length;
      rest = Math.floor(rest / from.length);
      return from[at]!;
    };
    const policy = take(TRACKER_POLICIES);
    const able = take(ABLE);
    const options: Partial<Record<Name, string>> = {};
    for (const name of NAMES) {
      const value = take(VALUES[name]);
      if (value !== undefined) options[name] = value;
    }
    yield { policy, able, options };
  }
}

/** Throws when options are ignored, or refused without what would do. A second device is there already. */
export function tryOptions({ policy, able, options }: OptionCase): "taken" | "refused" {
  const { bits, log: dmaLog, migration } = able;
  const common = { kind: "dma-engine", dmaLog, migration, properties: { memory: "16k" } };
  const plan = readHostDescription(
    JSON.stringify({
      units: [{ id: "u0", profile: "vtd-ssads", dirtyTracking: bits }],
      devices: [
        { ...common, bdf: FIRST, unit: "u0" },
        { ...common, bdf: SECOND, unit: "u0" },
      ],
    }),
    builtInKinds,
  );
  const { backend, warnings } = makeBackend(plan, { policy });
  backend.assign({ name: SECOND, mode: "hwpt", mayLog: true, migration: "auto" });
  const assignment = attempt(() =>
    backend.assign(readVfioPciConfig({ iommufd: "f0", ...options }, "vfio-pci").assignment),
  );
  if (assignment === undefined) return "refused";
  checkTaken(assignment, options, { warnings, blockers: backend.blockers.map(({ device }) => device) });
  return "taken";
}

function attempt(assign: () => Assignment): Assignment | undefined {
  try {
    return assign();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    if (!/would do|did you mean|takes either|expects|not accept|does not/.test(error.message)) throw error;
    return undefined;
  }
}

function checkTaken(
  { device, container }: Assignment,
  options: OptionCase["options"],
  { warnings, blockers }: { readonly warnings: readonly string[]; readonly blockers: readonly string[] },
): void {
  const wrong = (what: string): never => {
    throw new Error(`${what} with ${JSON.stringify(options)}`);
  };
  const { tracker } = container.trackerOf(device);
  const domain = container.domainOf(device);
  if ((options["x-dma-mode"] === "ioas") !== (domain === undefined)) wrong("x-dma-mode is ignored");
  if (options["x-device-dirty-page-tracking"] === "off" && tracker === "device") wrong("the log is used");
  if (tracker === "none" && !warnings.some((text) => text.startsWith(`${device.name}: all that`)))
    wrong("silently untracked");
  if (options["enable-migration"] === "on" && blockers.includes(device.name)) wrong("it does not migrate");
  if (options["enable-migration"] === "off" && !blockers.includes(device.name)) wrong("it migrates");
  if (device.name !== FIRST) wrong(`${device.name} was taken`);
}
