// Machines with assigned devices, moved while those write into guest memory; the guest itself notices what is lost.
import { afterEach, describe, expect, test } from "vitest";
import type { MovingDevice } from "../../src/vfio/index.ts";
import {
  IncomingMigration,
  OutgoingMigration,
  type MigrationParameters,
  type MigrationPhase,
} from "../../src/migration/index.ts";
import { makePipe } from "../../src/migration/testing/pipe.ts";
import {
  makeDisk,
  makeMovingGuest,
  until,
  type MovingDeviceSpec,
  type MovingGuest,
  type MovingGuestOptions,
} from "../support/moving-guest.ts";

const open: MovingGuest[] = [];
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
});

function guest(options: MovingGuestOptions): MovingGuest {
  const made = makeMovingGuest(options);
  open.push(made);
  return made;
}

const ENGINE = { kind: "dma-engine" } as const;
const LOGGING = { kind: "dma-engine", dmaLog: true } as const;
const UNTRACKED = { kind: "dma-engine", profile: "vtd" } as const;
const NVME = { kind: "nvme" } as const;

async function started(options: MovingGuestOptions): Promise<MovingGuest> {
  const source = guest(options);
  source.machine.start();
  await until(() => source.text.value.length >= 2);
  return source;
}

/** A file takes everything and answers nothing. */
function sink(onWrite: () => void = () => undefined) {
  return {
    name: "sink",
    isDuplex: false,
    unwrittenBytes: 0,
    write: async () => onWrite(),
    read: async () => false,
    flush: async () => undefined,
    close: () => undefined,
  };
}

function leaving({ machine, host }: MovingGuest, channel: ReturnType<typeof sink>, options: Leaving = {}) {
  const { parameters, ...rest } = options;
  const { timers, yield: turns } = host;
  return new OutgoingMigration({
    ...{ machine: machine.movable, channel, timers, yield: turns },
    parameters: { maxBandwidth: 0, dirtyOracle: true, ...parameters },
    ...rest,
  });
}

interface Leaving {
  readonly parameters?: Partial<MigrationParameters>;
  readonly onPhase?: (phase: MigrationPhase) => void;
  readonly onRound?: () => void;
}

/** The one that `move` makes. */
let moving: OutgoingMigration | undefined;

async function move(source: MovingGuest, target: MovingGuest, options: Leaving = {}): Promise<OutgoingMigration> {
  const [out, into] = makePipe();
  const outgoing = leaving(source, out as never, options);
  moving = outgoing;
  const arriving = new IncomingMigration({ machine: target.machine.movable, channel: into, starts: () => true }).run();
  await Promise.all([outgoing.run(), arriving]);
  source.machine.handedOver();
  return outgoing;
}

/** Goes on printing dots, and nothing else. */
async function runsOn({ machine, text }: MovingGuest, dots = 2): Promise<void> {
  const before = text.value.length;
  await until(() => text.value.length >= before + dots || machine.runState !== "running");
  expect(machine.runState).toBe("running");
  expect(text.value).toMatch(/^\.+$/);
}

describe("a machine with assigned devices arrives with all that they wrote", () => {
  const hosts: readonly [string, readonly MovingDeviceSpec[], MovingGuestOptions["policy"], readonly string[]][] = [
    ["page tables and logs, each by its finest", [ENGINE, NVME, LOGGING], "mixed", ["page table", "log"]],
    ["logs on both sides", [LOGGING], "all-or-nothing", ["log"]],
    ["dirty bits where a log would do", [LOGGING, NVME], "iommu-only", ["page table"]],
    ["nobody looks", [UNTRACKED], "device-only", ["untracked"]],
  ];
  test.each(hosts)("%s", async (_name, devices, policy, kinds) => {
    const options = { devices, policy: policy!, disk: makeDisk() };
    const source = await started(options);
    const target = guest({ ...options, incoming: true });
    const { progress } = await move(source, target);
    expect(progress.oracle).toMatchObject({ missedPages: 0, missed: [] });
    expect(progress.deviceBytes).toBeGreaterThan(0);
    const sources = [...progress.rounds[0]!.bySource.keys()].filter((name) => name.startsWith("vfio"));
    for (const kind of kinds) expect(sources.some((name) => name.includes(kind))).toBe(true);
    await runsOn(target);
    expect(source.machine.runState).toBe("postmigrate");
  });

  test("paused as it was, and with devices that can only stop", async () => {
    const options = { devices: [{ kind: "nvme", migration: ["stop-copy"] } as const], disk: makeDisk() };
    const source = await started(options);
    await source.machine.stop();
    const target = guest({ ...options, incoming: true });
    const outgoing = await move(source, target);
    expect(outgoing.progress.rounds).toEqual([]);
    expect(target.machine.runState).toBe("inmigrate");
    target.machine.arrived();
    target.machine.start();
    await runsOn(target);
  });

  test("stopped and continued on the way", async () => {
    const options = { devices: [ENGINE, NVME, LOGGING], disk: makeDisk() };
    const source = await started(options);
    const target = guest({ ...options, incoming: true });
    const states = new Set<string | undefined>();
    const { streams } = source.machine.movable;
    let rounds = 0;
    const outgoing = await move(source, target, {
      parameters: { downtimeLimitMs: 0 },
      onRound: () => {
        rounds++;
        if (rounds === 1) void source.machine.stop();
        for (const stream of streams.values()) states.add((stream as MovingDevice).state);
        if (rounds === 3) source.machine.start();
        if (rounds === 5) outgoingParameters(2000);
      },
    });
    expect(outgoing.progress.oracle).toMatchObject({ missedPages: 0 });
    expect(states).toEqual(new Set(["pre-copy", "pre-copy-p2p"]));
    await runsOn(target);

    function outgoingParameters(downtimeLimitMs: number): void {
      moving!.parameters = { ...moving!.parameters, downtimeLimitMs };
    }
  });
});

describe("a machine with assigned devices goes on", () => {
  test("when its migration is cancelled, in each phase", async () => {
    const source = await started({ devices: [ENGINE, NVME, LOGGING] });
    const audit = JSON.stringify(source.software.vfio.audit());
    for (const when of ["active", "pre-switchover", "device"] as const) {
      const outgoing = leaving(source, sink(), {
        parameters: { pauseBeforeSwitchover: true },
        onPhase: (phase) => {
          if (phase === when) outgoing.cancel();
          else if (phase === "pre-switchover") void Promise.resolve().then(() => outgoing.proceed());
        },
      });
      await expect(outgoing.run()).rejects.toMatchObject({ code: "cancelled" });
      expect(source.machine.movable.notes.openEpochs).toBe(0);
      expect(JSON.stringify(source.software.vfio.audit())).toBe(audit);
      await runsOn(source, 1);
    }
  });

  test("when a call of any kind is refused, whichever of them; the error says by whom", async () => {
    const source = await started({ devices: [ENGINE, NVME, LOGGING] });
    const { host, vfio } = source.software;
    const audit = JSON.stringify(vfio.audit());
    const failures: (string | undefined)[] = [];
    for (const [point, nths] of [
      ["state", [1, 3, 4, 6, 7, 9]],
      ["data", [1, 4]],
      ["log", [1, 2, 3]],
      ["tracking", [1, 2]],
    ] as const) {
      for (const nth of nths) {
        host.failNext(point, nth);
        const outgoing = leaving(source, sink());
        const outcome = await outgoing.run().then(
          () => undefined,
          (error: unknown) => error as Error,
        );
        failures.push(outcome?.message);
        // What ends tracking may fail and costs nothing: that move was made, and the machine is called back.
        if (outcome === undefined) {
          source.machine.handedOver();
          await source.machine.resume();
        }
        if (outcome !== undefined) expect(outcome).toMatchObject({ code: "deviceFailed" });
        expect(host.memory.awaitsFailure).toBe(false);
        expect(source.machine.movable.notes.openEpochs).toBe(0);
        expect(JSON.stringify(vfio.audit())).toBe(audit);
        await until(() => source.machine.runState === "running");
      }
    }
    expect(failures[0]).toMatch(/^Device "pcie.0\/02.0\/vfio-pci" \(0000:01:00.0\): .* does not go to PRE_COPY: .*EIO/);
    expect(failures[4]).toMatch(/^The machine: Device 0000:01:00.0: it does not go to STOP_COPY/);
    await runsOn(source);
  });
});
