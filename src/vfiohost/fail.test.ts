// Each step of a scenario that uses everything a device file has is made to fail in turn. The call that is refused is made
// again and succeeds, the scenario ends as if nothing had been, and nothing stays behind.
import { beforeAll, describe, expect, test } from "vitest";
import { mdevSerialSpec } from "../device/mdev-serial/index.ts";
import {
  VfioDeviceState as S,
  VfioPciIrq,
  VfioPciRegion,
  type FailPoint,
  type VfioDeviceClient,
} from "../iommufd/index.ts";
import { config, registers, vfioBench, type VfioBench } from "./test-bench.ts";

const abilities = { migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true } as const;

interface Scene {
  readonly b: VfioBench;
  readonly devices: readonly VfioDeviceClient[];
  readonly fds: readonly number[];
  ioasId: number;
  streams: { out: number; in: number };
}

interface Step {
  readonly name: string;
  readonly run: (scene: Scene) => void;
  /** States that were gone through stay: this device is then reset, as a VMM does. */
  readonly moves?: number;
  /** A call on /dev/iommu, whose failures are tested where it is. */
  readonly isOthers?: true;
}

const [PCI, TARGET, SERIAL] = [0, 1, 2] as const;

/** Lets the serial device read and write memory; its faults are the device's to tell. */
function sendRound({ b, devices }: Scene): void {
  const { Register: R, Status } = mdevSerialSpec;
  const device = devices[SERIAL]!;
  config(device).set(4, 7, 2);
  const dma = registers(device, VfioPciRegion.BAR1);
  for (const [at, value] of [
    [R.receiveLow, 0x4000],
    [R.receiveLength, 16],
    [R.receive, 1],
    [R.sendLow, 0x1000],
    [R.sendLength, 16],
    [R.send, 1],
  ] as const) {
    dma.set(at, value);
  }
  b.timers.advanceByNs(1e6);
  if ((dma.get(R.status) & Status.fault.mask) !== 0) {
    device.reset();
    throw new Error("the device's DMA was refused");
  }
}

function moveData({ b, streams }: Scene): void {
  const data = b.data(streams.out);
  const into = b.data(streams.in);
  for (let part = data.read(0x8000); part !== undefined && part.length > 0; part = data.read(0x8000)) {
    for (let at = 0; at < part.length; at += 0x4000) into.write(part.subarray(at, at + 0x4000));
  }
}

const steps: readonly Step[] = [
  { name: "bind", run: ({ b, devices }) => void devices[PCI]!.bind(b.iommufd.fd) },
  { name: "bind the target", run: ({ b, devices }) => void devices[TARGET]!.bind(b.iommufd.fd) },
  { name: "bind the mediated one", run: ({ b, devices }) => void devices[SERIAL]!.bind(b.iommufd.fd) },
  { name: "an IOAS", isOthers: true, run: (s) => void (s.ioasId = s.b.iommufd.ioasAlloc()) },
  {
    name: "map",
    isOthers: true,
    run: ({ b, ioasId }) => void b.iommufd.map(0n, { ioasId, lengthBytes: 0x8000n, iova: 0n }),
  },
  { name: "attach", run: ({ devices, ioasId }) => void devices[PCI]!.attach(ioasId) },
  { name: "attach the mediated one", run: ({ devices, ioasId }) => void devices[SERIAL]!.attach(ioasId) },
  { name: "info", run: ({ devices }) => void devices[PCI]!.info() },
  { name: "a region", run: ({ devices }) => void devices[PCI]!.region(VfioPciRegion.BAR2) },
  { name: "an interrupt", run: ({ devices }) => void devices[PCI]!.irq(VfioPciIrq.MSIX) },
  {
    name: "vectors",
    run: ({ devices, fds }) => devices[PCI]!.setIrqs({ index: VfioPciIrq.MSIX, action: "trigger", eventFds: fds }),
  },
  {
    name: "one more vector",
    run: ({ devices, fds }) =>
      devices[PCI]!.setIrqs({ index: VfioPciIrq.MSIX, start: 3, action: "trigger", eventFds: [fds[0]!] }),
  },
  { name: "DMA of the mediated one", run: sendRound },
  {
    name: "start the log",
    run: ({ devices }) => void devices[PCI]!.startDmaLog([{ start: 0n, last: 0x7fffn }], 4096n),
  },
  { name: "report", run: ({ devices }) => void devices[PCI]!.reportDmaLog(0n, 0x8000n, 4096n) },
  { name: "low power", run: ({ devices }) => devices[PCI]!.enterLowPower() },
  { name: "reset", run: ({ devices }) => devices[PCI]!.reset() },
  { name: "who is reset together", run: ({ devices }) => void devices[PCI]!.hotResetInfo() },
  { name: "hot reset", run: ({ devices }) => devices[PCI]!.hotReset() },
  { name: "pre-copy", moves: PCI, run: (s) => (s.streams.out = s.devices[PCI]!.setDeviceState(S.PRE_COPY)!) },
  { name: "pre-copy information", run: ({ b, streams }) => void b.data(streams.out).precopyInfo() },
  { name: "resuming", moves: TARGET, run: (s) => (s.streams.in = s.devices[TARGET]!.setDeviceState(S.RESUMING)!) },
  { name: "the size of what is left", run: ({ devices }) => void devices[PCI]!.stopCopyBytes() },
];

/** Made again from the start when they fail: what failed is in the middle of a stream. */
const ending: readonly Step[] = [
  { name: "stop-copy", run: ({ devices }) => void devices[PCI]!.setDeviceState(S.STOP_COPY) },
  { name: "the data", run: moveData },
  { name: "running", run: ({ devices }) => void devices[TARGET]!.setDeviceState(S.RUNNING) },
];

function makeScene(): Scene {
  // The same space in every run, so that snapshots can be compared.
  const b = vfioBench({ caller: { space: { id: 1 } } });
  const nodes = [b.add(abilities), b.add(abilities), b.add({ kind: "mdev-serial", name: "m0", ...abilities })];
  const devices = nodes.map((node) => b.open(node));
  return { b, devices, fds: [b.eventFd().fd, b.eventFd().fd], ioasId: 0, streams: { out: -1, in: -1 } };
}

/** Everything that a refused call must leave alone. */
function shape({ b, devices }: Scene): object {
  const states = devices.map((device, i) => (b.vfio.devices[i]!.isOpen ? device.deviceState() : -1));
  return { states, audit: b.vfio.audit(), host: b.host.snapshot() };
}

interface Failure {
  readonly point: FailPoint;
  readonly nth: number;
  readonly at: number;
}

/** Plays all steps, the one at `failure.at` twice; what the host is like before the ending, and after it. */
function play(failure?: Failure): object[] {
  const scene = makeScene();
  for (const [i, step] of steps.entries()) {
    if (i === failure?.at) {
      const before = shape(scene);
      scene.b.host.failNext(failure.point, failure.nth);
      expect(() => step.run(scene), step.name).toThrow(/failed with|refused/);
      expect(scene.b.host.awaitsFailure).toBe(false);
      if (step.moves !== undefined) scene.devices[step.moves]!.reset();
      expect(shape(scene), `after "${step.name}" failed`).toEqual(before);
    }
    step.run(scene);
  }
  const middle = shape(scene);
  for (const step of ending) step.run(scene);
  const end = shape(scene);
  scene.b.end();
  return [middle, end];
}

/** Every step of the host that could fail. */
function failures(): Failure[] {
  const scene = makeScene();
  const counts = scene.b.host.countSteps();
  const found: Failure[] = [];
  for (const [at, step] of steps.entries()) {
    const before = new Map(counts);
    step.run(scene);
    if (step.isOthers === true) continue;
    for (const [point, count] of counts) {
      for (let nth = 1; nth <= count - (before.get(point) ?? 0); nth++) found.push({ point, nth, at });
    }
  }
  scene.b.end();
  return found;
}

describe("a scenario that uses everything of device files", () => {
  let whole: object[];
  let all: readonly Failure[];
  beforeAll(() => {
    whole = play();
    all = failures();
  });

  test("meets every kind of step that is a device file's", () => {
    const points = new Set(all.map((f) => f.point));
    expect(
      ["open", "reset", "irq", "state", "log", "reply", "attach", "pin"].filter((p) => !points.has(p as never)),
    ).toEqual([]);
  });

  test("goes on as if nothing had been, whichever step fails, and leaves nothing", () => {
    for (const failure of all) {
      expect(play(failure), `${failure.point}:${failure.nth} in "${steps[failure.at]!.name}"`).toEqual(whole);
    }
  });

  test("data that fails in the middle is told to who reads or writes, and closing leaves nothing", () => {
    for (let nth = 1; nth <= 6; nth++) {
      const scene = makeScene();
      for (const step of steps) step.run(scene);
      scene.b.host.failNext("data", nth);
      ending[0]!.run(scene);
      expect(() => moveData(scene)).toThrow("failed with EIO");
      scene.b.end();
    }
  });
});
