// The `virt` board: memory, devices and their wiring, harts, firmware, images.
import type { TimerQueue } from "../../base/index.ts";
import {
  Clint,
  GoldfishRtc,
  Ns16550a,
  Plic,
  SifiveTest,
  makeRtcClock,
  type Finish,
  type IrqLine,
  type MmioDevice,
} from "../../device/index.ts";
import { VirtioMmio } from "../../device/virtio/index.ts";
import {
  AddressSpace,
  WorldPlan,
  containerRegion,
  dmaPort,
  mmioRegion,
  ramRegion,
  type MemoryRegion,
} from "../../memory/index.ts";
import type { Saveable } from "../../state/index.ts";
import { HartIrq, type Hart } from "../../target/riscv/port.ts";
import type { Board } from "../board.ts";
import { RNG_SEED_BYTES } from "../boot/chosen.ts";
import { planBoot, type BootPlan } from "../boot/boot-plan.ts";
import { MachineError } from "../errors.ts";
import { BuiltInSbi } from "../firmware/sbi/sbi.ts";
import type { GuestRequest } from "../guest-request.ts";
import type { HartPlanner, MachineConfig, MachineHost } from "../port.ts";
import { Backends } from "./backends.ts";
import { checkVirtConfig } from "./config.ts";
import { buildBoardTree } from "./device-tree.ts";
import { IRQ_SOURCE_COUNT, TIMEBASE_HZ, UART_CLOCK_HZ, VIRTIO_SLOT_COUNT } from "./memory-map.ts";
import { virtIrq, virtMap, virtioSlot } from "./memory-map.ts";
import { uartConsole } from "./uart-console.ts";
import { Plugs } from "./virtio-devices.ts";

export interface BoardParts {
  readonly config: MachineConfig;
  readonly host: MachineHost;
  readonly planHarts: HartPlanner;
  /** Guest time. */
  readonly timers: TimerQueue;
  /** Called during a run of a hart. */
  readonly request: (request: GuestRequest) => void;
  /** A hart may have become runnable. */
  readonly wake: () => void;
}

/** One byte past the last guest-physical address that a board may use. */
const SPACE_BYTES = 2 ** 53;
const ZERO_CHUNK = new Uint8Array(0x1_0000);

/** Throws typed errors for what the configuration asks and cannot be had; nothing is left open then. */
export function makeVirtBoard(parts: BoardParts): Board {
  checkVirtConfig(parts.config);
  const opened: (() => void)[] = [];
  try {
    return new VirtBoard(parts, opened);
  } catch (error) {
    for (const close of opened.reverse()) close();
    throw error;
  }
}

class VirtBoard implements Board {
  readonly harts: readonly Hart[];
  readonly saveables: Map<string, Saveable> = new Map();
  readonly #parts: BoardParts;
  readonly #opened: (() => void)[];
  readonly #space: AddressSpace;
  readonly #root: MemoryRegion = containerRegion("system", SPACE_BYTES);
  readonly #devices: MmioDevice[] = [];
  readonly #slots: readonly VirtioMmio[];
  readonly #uart: Ns16550a;
  readonly #boot: BootPlan;
  readonly #sbi: BuiltInSbi | undefined;
  #seed: Uint8Array = new Uint8Array(RNG_SEED_BYTES);

  constructor(parts: BoardParts, opened: (() => void)[]) {
    this.#parts = parts;
    this.#opened = opened;
    const { config, host, timers } = parts;
    const { trace } = host;

    const plan = new WorldPlan();
    const plannedHarts = parts.planHarts(
      plan,
      Array.from({ length: config.smp }, (_, hartId) => ({ hartId, ...config.cpu })),
    );
    const maskRom = plan.ram("virt.mrom", virtMap.maskRom.lengthBytes, { readOnly: true });
    const ram = plan.ram("virt.ram", config.memoryBytes);
    const world = plan.create();
    opened.push(() => world.close());
    this.#root.add(ramRegion(maskRom), virtMap.maskRom.base);
    this.#root.add(ramRegion(ram), virtMap.ram.base);
    this.#space = new AddressSpace("memory", this.#root, world);
    opened.push(() => this.#space.close());

    // Devices drive harts and harts read a device's time, so lines look harts up when they are driven.
    const harts: Hart[] = [];
    const ids = Array.from({ length: config.smp }, (_, id) => id);
    const line = (id: number, irq: HartIrq): IrqLine => ({
      set: (level) => {
        harts[id]?.setIrq(irq, level);
        if (level) parts.wake();
      },
    });
    const clint = this.#place(
      "clint",
      virtMap.clint.base,
      new Clint({
        harts: ids.map((id) => ({ msip: line(id, HartIrq.msip), mtip: line(id, HartIrq.mtip) })),
        frequencyHz: TIMEBASE_HZ,
        timers,
        trace,
      }),
    );
    const plic = this.#place(
      "plic",
      virtMap.plic.base,
      new Plic({
        sourceCount: IRQ_SOURCE_COUNT - 1,
        contexts: ids.flatMap((id) => [line(id, HartIrq.meip), line(id, HartIrq.seip)]),
        trace,
      }),
    );
    harts.push(
      ...plannedHarts.create(world, {
        bus: (source) => this.#space.bus(source),
        timebase: clint,
        timers,
        resetVector: BigInt(virtMap.maskRom.base),
        firmware: () => this.#sbi,
      }),
    );
    this.harts = harts;
    for (const hart of harts) this.saveables.set(`hart${hart.id}`, hart);

    this.#place(
      "test",
      virtMap.testFinisher.base,
      new SifiveTest({ finish: (f) => parts.request(requestOf(f)), trace }),
    );
    this.#place(
      "rtc",
      virtMap.rtc.base,
      new GoldfishRtc({ time: this.#wallClock(), timers, irq: plic.source(virtIrq.rtc), trace }),
    );
    const backends = new Backends(host);
    const serial = config.serials[0];
    this.#uart = this.#place(
      "uart",
      virtMap.uart.base,
      new Ns16550a({
        backend: serial === undefined ? undefined : backends.chardev(serial, "serial0"),
        clockHz: UART_CLOCK_HZ,
        timers,
        irq: plic.source(virtIrq.uart),
        trace,
      }),
    );
    this.#slots = Array.from({ length: VIRTIO_SLOT_COUNT }, (_, slot) => {
      const { base, irq } = virtioSlot(slot);
      return this.#place(`virtio-mmio.${slot}`, base, new VirtioMmio({ irq: plic.source(irq), trace }));
    });
    this.#plugDevices(backends);

    const tree = buildBoardTree({ harts, memoryBytes: config.memoryBytes });
    this.#boot = planBoot(config, { base: virtMap.ram.base, lengthBytes: config.memoryBytes }, tree);
    this.#sbi = this.#firmware(clint);
    if (this.#sbi !== undefined) this.saveables.set("sbi", this.#sbi);
  }

  get canStart(): boolean {
    return this.#boot.start.kind !== "nothing";
  }

  get deviceTree(): Uint8Array {
    return this.#boot.boardTree(this.#seed);
  }

  reset(): void {
    for (const device of this.#devices) device.reset();
    for (const hart of this.harts) hart.reset();
    this.#seed = new Uint8Array(RNG_SEED_BYTES);
    this.#parts.host.rng.fill(this.#seed);
    this.#load(virtMap.maskRom.base, this.#boot.maskRom);
    for (const { at, bytes, lengthBytes, zeroRest } of this.#boot.segments(this.#seed)) {
      this.#load(at, bytes);
      if (zeroRest) this.#clear(at + bytes.length, lengthBytes - bytes.length);
    }
    const { start } = this.#boot;
    if (start.kind === "supervisor") this.#sbi!.boot(BigInt(start.entry), BigInt(this.#boot.deviceTreeAt));
    else for (const hart of this.harts) hart.started = start.kind === "machineMode";
  }

  async drain(): Promise<void> {
    this.#uart.flush();
    await Promise.all(this.#slots.map(async (slot) => slot.device?.drain()));
  }

  close(): void {
    for (const close of this.#opened.splice(0).reverse()) close();
  }

  #place<D extends MmioDevice>(name: string, at: number, device: D): D {
    this.#opened.push(() => device.close?.());
    this.#devices.push(device);
    this.saveables.set(name, device);
    this.#root.add(mmioRegion(name, device.mmioLengthBytes, device.mmio), at);
    return device;
  }

  #plugDevices(backends: Backends): void {
    const { config, host, timers } = this.#parts;
    const plugs = new Plugs(this.#slots, {
      context: (name) => ({ dma: dmaPort(this.#space, name), trace: host.trace, timers }),
      rng: host.rng,
      backends,
    });
    for (const device of config.devices) plugs.plug(device);
    for (const [slot, { device }] of this.#slots.entries()) {
      if (device !== undefined) this.saveables.set(`virtio-mmio.${slot}/${device.typeName}`, device);
    }
  }

  #firmware(clint: Clint): BuiltInSbi | undefined {
    const { config, request, timers } = this.#parts;
    if (config.firmware !== "default") return undefined;
    if (this.harts[0]!.isa.mmuType === "riscv,none") {
      throw new MachineError(
        "badConfig",
        `CPU "${config.cpu.model}" has no supervisor mode with an MMU for the built-in SBI; -bios none would do`,
      );
    }
    return new BuiltInSbi({
      harts: this.harts,
      timebase: clint,
      timers,
      memory: dmaPort(this.#space, "firmware"),
      console: uartConsole(this.#uart.mmio),
      request,
    });
  }

  #wallClock(): ReturnType<typeof makeRtcClock> {
    const { config, host, timers } = this.#parts;
    const { base, clock } = config.rtc;
    const common = {
      wallClock: host.wallClock,
      virtualClock: timers.clock,
      source: clock === "vm" ? "vm" : "host",
    } as const;
    if (base === "utc") return makeRtcClock(common);
    if (base !== "localtime") return makeRtcClock({ ...common, baseUnixNs: base });
    if (host.localTimeOffsetNs === undefined) {
      throw new MachineError("badConfig", "The host does not tell its time zone; -rtc base=utc or a date would do");
    }
    return makeRtcClock({ ...common, baseUnixNs: host.wallClock.nowUnixNs() + host.localTimeOffsetNs });
  }

  #load(at: number, bytes: Uint8Array): void {
    this.#space.load(at, bytes, this.#space.world.notes.source("loader"));
  }

  #clear(at: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; done += ZERO_CHUNK.length) {
      this.#load(at + done, ZERO_CHUNK.subarray(0, Math.min(ZERO_CHUNK.length, lengthBytes - done)));
    }
  }
}

function requestOf(finish: Finish): GuestRequest {
  if (finish.kind === "pass") return { kind: "powerOff" };
  return finish.kind === "reset" ? { kind: "reset" } : { kind: "fail", status: finish.code };
}
