// Machines for migration tests, in this process: the guest of test/fixtures/migration on real harts, with assigned devices.
import { readFileSync } from "node:fs";
import { MemoryNode, type BlockNode } from "../../src/block/index.ts";
import { readHostDescription } from "../../src/iommufd/index.ts";
import type { DeviceConfig, Machine, MachineConfig, MachineHost } from "../../src/machine/index.ts";
import { createMachine } from "../../src/machine/index.ts";
import type { TrackerPolicy } from "../../src/vfio/index.ts";
import { builtInKinds, type DescribedHost, type MigrationAbility } from "../../src/vfiohost/index.ts";
import { NodeEventLoop } from "../../src/host/node/event-loop.ts";

const guest = readFileSync(new URL("../fixtures/migration/guest.elf", import.meta.url));
const DISK_BYTES = 2 ** 20;

export interface MovingDeviceSpec {
  readonly kind: "dma-engine" | "nvme";
  /** Default: all. */
  readonly migration?: readonly MigrationAbility[];
  readonly dmaLog?: boolean;
  /** Of its unit; default: `vtd-ssads`, which tracks. */
  readonly profile?: string;
}

export interface MovingGuestOptions {
  readonly devices: readonly MovingDeviceSpec[];
  readonly policy?: TrackerPolicy;
  readonly incoming?: boolean;
  readonly smp?: number;
  readonly memoryBytes?: number;
  /** The disk that both sides have. */
  readonly disk?: BlockNode;
  readonly properties?: Readonly<Record<string, string>>;
  /** Further devices, of the board's own. */
  readonly more?: readonly DeviceConfig[];
  readonly boardOptions?: Readonly<Record<string, string>>;
}

export interface MovingGuest {
  readonly machine: Machine;
  readonly host: MachineHost;
  /** What the guest has printed. */
  readonly text: { value: string };
  readonly notices: string[];
  /** The host behind its devices. */
  readonly software: DescribedHost;
  close(): Promise<void>;
}

export const ALL_ABILITIES: readonly MigrationAbility[] = ["stop-copy", "p2p", "pre-copy"];

export function makeDisk(nodeName = "disk0"): BlockNode {
  return new MemoryNode({ nodeName, content: DISK_BYTES });
}

export function makeMovingGuest(options: MovingGuestOptions): MovingGuest {
  const { devices, incoming = false, smp = 1, memoryBytes = 16 << 20, policy = "mixed", properties } = options;
  const { more = [], boardOptions = {} } = options;
  const clock = { nowNs: () => performance.now() * 1e6 };
  const loop = new NodeEventLoop(clock);
  const text = { value: "" };
  const notices: string[] = [];
  const address = (n: number): string => `0000:0${n + 1}:00.0`;
  const description = {
    units: devices.map(({ profile = "vtd-ssads" }, n) => ({ id: `u${n}`, profile })),
    devices: devices.map(({ kind, migration = ALL_ABILITIES, dmaLog = false }, n) => ({
      ...{ bdf: address(n), kind, unit: `u${n}`, group: n + 1, migration, dmaLog },
      ...(kind === "nvme" && { properties: { drive: "disk0", serial: "moving" } }),
    })),
  };
  let software: DescribedHost | undefined;
  const host: MachineHost = {
    softwareHostMade: (made) => (software = made),
    clock,
    wallClock: { nowUnixNs: () => 0n },
    timers: loop,
    rng: { fill: (into) => void into.fill(1) },
    trace: { guestError: (who, what) => void notices.push(`${who}: ${what}`) },
    notice: (message) => void notices.push(message),
    yield: loop,
    chardevs: new Map([
      [
        "serial0",
        {
          label: "serial0",
          write: (sent: Uint8Array) => {
            text.value += String.fromCharCode(...sent);
            return sent.length;
          },
          attach: () => undefined,
          frontReady: () => undefined,
          close: () => undefined,
        },
      ],
    ]),
    blockNodes: new Map(
      ["disk0", "disk1", "disk2"].map((name) => [name, (name === "disk0" && options.disk) || makeDisk(name)]),
    ),
  };
  const config: MachineConfig = {
    board: "virt",
    boardOptions,
    cpu: { model: "rv64", features: {} },
    smp,
    memoryBytes,
    firmware: "none",
    kernel: { name: "guest.elf", bytes: guest },
    commandLine: "",
    serials: ["serial0"],
    devices: [
      ...devices.map((_, n) => ({
        driver: "vfio-pci",
        properties: { host: address(n), iommufd: "f0", addr: `${n + 2}`, ...properties },
      })),
      ...more,
    ],
    iommufds: [{ id: "f0", host: readHostDescription(JSON.stringify(description), builtInKinds), policy }],
    noReboot: false,
    noShutdown: false,
    startPaused: false,
    incoming,
    rtc: { base: 0n, clock: "vm" },
  };
  const machine = createMachine(config, host);
  return {
    machine,
    software: software!,
    host,
    text,
    notices,
    async close() {
      await machine.close();
      loop.close();
    },
  };
}

export async function until(holds: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error("it did not come to pass in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
