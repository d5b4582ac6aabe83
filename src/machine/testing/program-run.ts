// Machines with real harts for tests: a program of a few words, its console as text.
import type { Machine, MachineConfig, MachineHost } from "../port.ts";
import { testElf } from "./test-images.ts";

export interface Run {
  readonly config: MachineConfig;
  readonly host: MachineHost;
  text: string;
}

/** `words` are linked for `at`; `config` replaces what a test cares about. */
export function run(words: readonly number[], at: number, config: Partial<MachineConfig>): Run {
  const bytes = [...new Uint8Array(Uint32Array.from(words).buffer)];
  const clock = { nowNs: () => performance.now() * 1e6 };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const console = {
    label: "serial0",
    write: (sent: Uint8Array) => {
      made.text += String.fromCharCode(...sent);
      return sent.length;
    },
    attach: () => undefined,
    frontReady: () => undefined,
    close: () => undefined,
  };
  const made: Run = {
    config: {
      board: "virt",
      boardOptions: {},
      cpu: { model: "rv64", features: {} },
      smp: 2,
      memoryBytes: 16 << 20,
      firmware: "default",
      kernel: { name: "program.elf", bytes: testElf(at, [{ at, bytes }]) },
      commandLine: "",
      serials: ["serial0"],
      devices: [],
      noReboot: false,
      noShutdown: false,
      startPaused: false,
      rtc: { base: "utc", clock: "host" },
      ...config,
    },
    host: {
      clock,
      wallClock: { nowUnixNs: () => 0n },
      timers: { clock, create: () => ({ arm: () => undefined, disarm: () => undefined, deadlineNs: undefined }) },
      rng: { fill: (into) => void into.fill(1) },
      trace: { guestError: () => undefined },
      yield: { turn, sleep: turn, wake: () => undefined },
      chardevs: new Map([["serial0", console]]),
      blockNodes: new Map(),
    },
    text: "",
  };
  return made;
}

/** Starts the machine and closes it at its end. */
export async function ended(machine: Machine): Promise<unknown> {
  machine.start();
  const exit = await machine.ended;
  await machine.close();
  return exit;
}
