// The whole machine's saved state: every part comes back from its bytes.
import { describe, expect, test } from "vitest";
import { ManualTimers, SeededRng } from "../../src/base/index.ts";
import { MemoryNode } from "../../src/block/index.ts";
import { makeCharPipe } from "../../src/chardev/index.ts";
import { buildMachine } from "../../src/machine/builder.ts";
import type { VirtualMachine } from "../../src/machine/machine.ts";
import { testImage } from "../../src/machine/testing/test-images.ts";
import { decodeState, encodeState, loadState } from "../../src/state/index.ts";
import { planHarts } from "../../src/target/riscv/index.ts";

/** A board with one device of each type. */
function makeMachine(boardOptions: Record<string, string>): VirtualMachine {
  const timers = new ManualTimers();
  const config = {
    board: "virt-1.0",
    boardOptions,
    cpu: { model: "rv64", features: {} },
    smp: 2,
    memoryBytes: 32 << 20,
    firmware: "default" as const,
    kernel: { name: "Image", bytes: testImage(0x1000) },
    commandLine: "",
    serials: ["serial0"],
    devices: [
      { driver: "virtio-blk-device", properties: { drive: "disk0" } },
      { driver: "virtio-rng-device", properties: {} },
      { driver: "virtio-serial-device", properties: {} },
      { driver: "edu", properties: {} },
      { driver: "virtio-rng-pci", properties: { addr: "3" } },
      { driver: "nvme", properties: { serial: "s", drive: "disk1" } },
      { driver: "pcie-root-port", id: "rp0", properties: { addr: "4" } },
      { driver: "dma-engine", properties: { bus: "rp0" } },
    ],
    noReboot: false,
    noShutdown: false,
    startPaused: false,
    rtc: { base: 0n, clock: "vm" as const },
  };
  const host = {
    clock: timers.clock,
    wallClock: { nowUnixNs: () => 0n },
    timers,
    rng: new SeededRng(1n),
    trace: { guestError: () => undefined },
    yield: { turn: () => Promise.resolve(), sleep: () => Promise.resolve(), wake: () => undefined },
    chardevs: new Map([["serial0", makeCharPipe("serial0").back]]),
    blockNodes: new Map(["disk0", "disk1"].map((nodeName) => [nodeName, new MemoryNode({ nodeName, content: 65536 })])),
  };
  return buildMachine(config, host, planHarts);
}

const CHIPS: readonly [string, Record<string, string>, readonly string[]][] = [
  ["a PLIC", {}, ["mswi", "mtimer", "plic"]],
  ["an ACLINT", { aclint: "on" }, ["mswi", "sswi", "mtimer", "plic"]],
  ["an APLIC", { aia: "aplic" }, ["mswi", "mtimer", "aplic.m", "aplic.s"]],
  [
    "IMSICs",
    { aia: "aplic-imsic", aclint: "on" },
    ["mtimer", "imsic.m0", "imsic.m1", "imsic.s0", "imsic.s1", "aplic.m", "aplic.s"],
  ],
];
const PARTS = [
  ...["hart0", "hart1", "fw-cfg", "pcie", "test", "rtc", "uart"],
  ...["virtio-mmio.7/virtio-blk-device", "virtio-mmio.6/virtio-rng-device", "virtio-mmio.5/virtio-serial-device"],
  ...["pcie.0/01.0", "pcie.0/01.0/edu", "pcie.0/03.0", "pcie.0/03.0/virtio-rng-pci", "pcie.0/03.0/virtio-rng-device"],
  ...["pcie.0/02.0", "pcie.0/02.0/nvme", "pcie.0/04.0", "pcie.0/04.0/pcie-root-port"],
  ...["rp0/00.0", "rp0/00.0/dma-engine", "rp0/00.0/memory"],
  "sbi",
];

describe("the saved state of virt-1.0", () => {
  test.each(CHIPS)("with %s is that of every part, and comes back from its bytes", (_name, options, chips) => {
    const from = makeMachine(options);
    const to = makeMachine(options);
    const parts = [...from.saveables.keys()].filter((name) => !/^virtio-mmio\.\d$/.test(name));
    expect(parts).toEqual([...chips, ...PARTS]);
    for (const [name, saveable] of from.saveables) {
      const bytes = encodeState(saveable);
      expect(decodeState(saveable.stateDescription, bytes)).toEqual(saveable.saveState());
      const target = to.saveables.get(name)!;
      loadState(target, bytes);
      expect(encodeState(target)).toEqual(bytes);
    }
  });
});
