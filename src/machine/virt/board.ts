// The `virt` board: memory, devices and their wiring, harts, firmware, images.
import type { TimerQueue } from "../../base/index.ts";
import { Clint, GoldfishRtc, Ns16550a, Plic, SifiveTest, type Finish } from "../../device/index.ts";
import { VirtioMmio } from "../../device/virtio/index.ts";
import { WorldPlan, dmaPort } from "../../memory/index.ts";
import { HartIrq, type Hart } from "../../target/riscv/port.ts";
import type { Board } from "../board.ts";
import { planBoot, type BootPlan } from "../boot/boot-plan.ts";
import { RNG_SEED_BYTES } from "../boot/chosen.ts";
import { MachineError } from "../errors.ts";
import { BuiltInSbi } from "../firmware/sbi/sbi.ts";
import type { GuestRequest } from "../guest-request.ts";
import { HartLines } from "../hart-lines.ts";
import type { HartPlanner, MachineConfig, MachineHost } from "../port.ts";
import { rtcTime } from "../rtc-time.ts";
import { System } from "../system.ts";
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

/** Throws typed errors for what the configuration asks and cannot be had; nothing is left open then. */
export function makeVirtBoard(parts: BoardParts): Board {
  const { config, planHarts } = parts;
  checkVirtConfig(config);
  const plan = new WorldPlan();
  const hartConfigs = Array.from({ length: config.smp }, (_, hartId) => ({ hartId, ...config.cpu }));
  const plannedHarts = planHarts(plan, hartConfigs);
  const maskRom = plan.ram("virt.mrom", virtMap.maskRom.lengthBytes, { readOnly: true });
  const ram = plan.ram("virt.ram", config.memoryBytes);
  const system = new System(plan.create());
  try {
    system.placeRam(maskRom, virtMap.maskRom.base);
    system.placeRam(ram, virtMap.ram.base);
    return new VirtBoard(parts, system, plannedHarts);
  } catch (error) {
    system.close();
    throw error;
  }
}

class VirtBoard implements Board {
  readonly harts: readonly Hart[];
  readonly saveables: Board["saveables"];
  readonly #parts: BoardParts;
  readonly #system: System;
  readonly #slots: readonly VirtioMmio[];
  readonly #uart: Ns16550a;
  readonly #boot: BootPlan;
  readonly #sbi: BuiltInSbi | undefined;
  #seed: Uint8Array = new Uint8Array(RNG_SEED_BYTES);

  constructor(parts: BoardParts, system: System, plannedHarts: ReturnType<HartPlanner>) {
    this.#parts = parts;
    this.#system = system;
    this.saveables = system.saveables;
    const { config, timers, wake } = parts;

    const lines = new HartLines(wake);
    const clint = this.#placeClint(lines);
    const plic = this.#placePlic(lines);
    this.harts = plannedHarts.create(system.space.world, {
      bus: (source) => system.space.bus(source),
      timebase: clint,
      timers,
      resetVector: BigInt(virtMap.maskRom.base),
      firmware: () => this.#sbi,
    });
    lines.connect(this.harts);
    for (const hart of this.harts) system.saveables.set(`hart${hart.id}`, hart);

    const backends = new Backends(parts.host);
    this.#uart = this.#placeDevices(plic, backends);
    this.#slots = this.#placeSlots(plic);
    this.#plugDevices(backends);

    const tree = buildBoardTree({ harts: this.harts, memoryBytes: config.memoryBytes });
    this.#boot = planBoot(config, { base: virtMap.ram.base, lengthBytes: config.memoryBytes }, tree);
    this.#sbi = this.#makeFirmware(clint);
    if (this.#sbi !== undefined) system.saveables.set("sbi", this.#sbi);
  }

  get canStart(): boolean {
    return this.#boot.start.kind !== "nothing";
  }

  get deviceTree(): Uint8Array {
    return this.#boot.boardTree(this.#seed);
  }

  get memoryBlocks(): Board["memoryBlocks"] {
    return this.#system.space.world.blocks;
  }

  reset(): void {
    this.#system.resetDevices();
    for (const hart of this.harts) hart.reset();
    this.#seed = new Uint8Array(RNG_SEED_BYTES);
    this.#parts.host.rng.fill(this.#seed);
    this.#system.load(virtMap.maskRom.base, this.#boot.maskRom);
    for (const segment of this.#boot.segments(this.#seed)) this.#system.loadSegment(segment);
    const { start } = this.#boot;
    if (start.kind === "supervisor") this.#sbi!.boot(BigInt(start.entry), BigInt(this.#boot.deviceTreeAt));
    else for (const hart of this.harts) hart.started = start.kind === "machineMode";
  }

  async drain(): Promise<void> {
    this.#uart.flush();
    await Promise.all(this.#slots.map(async (slot) => slot.device?.drain()));
  }

  close(): void {
    this.#system.close();
  }

  #placeClint(lines: HartLines): Clint {
    const { config, timers, host } = this.#parts;
    const harts = Array.from({ length: config.smp }, (_, id) => ({
      msip: lines.line(id, HartIrq.msip),
      mtip: lines.line(id, HartIrq.mtip),
    }));
    const clint = new Clint({ harts, frequencyHz: TIMEBASE_HZ, timers, trace: host.trace });
    return this.#system.place("clint", virtMap.clint.base, clint);
  }

  #placePlic(lines: HartLines): Plic {
    const { config, host } = this.#parts;
    // As the device tree says: of each hart, M first, then S.
    const contexts = Array.from({ length: config.smp }, (_, id) => [
      lines.line(id, HartIrq.meip),
      lines.line(id, HartIrq.seip),
    ]).flat();
    const plic = new Plic({ sourceCount: IRQ_SOURCE_COUNT - 1, contexts, trace: host.trace });
    return this.#system.place("plic", virtMap.plic.base, plic);
  }

  /** Returns the UART, which firmware and `drain` need. */
  #placeDevices(plic: Plic, backends: Backends): Ns16550a {
    const { config, host, timers, request } = this.#parts;
    const { trace } = host;
    const finish = (how: Finish): void => request(requestOf(how));
    this.#system.place("test", virtMap.testFinisher.base, new SifiveTest({ finish, trace }));

    const time = rtcTime(config.rtc, host, timers.clock);
    const rtc = new GoldfishRtc({ time, timers, irq: plic.source(virtIrq.rtc), trace });
    this.#system.place("rtc", virtMap.rtc.base, rtc);

    const serial = config.serials[0];
    const backend = serial === undefined ? undefined : backends.chardev(serial, "serial0");
    const uart = new Ns16550a({ backend, clockHz: UART_CLOCK_HZ, timers, irq: plic.source(virtIrq.uart), trace });
    return this.#system.place("uart", virtMap.uart.base, uart);
  }

  #placeSlots(plic: Plic): VirtioMmio[] {
    const { trace } = this.#parts.host;
    return Array.from({ length: VIRTIO_SLOT_COUNT }, (_, slot) => {
      const { base, irq } = virtioSlot(slot);
      return this.#system.place(`virtio-mmio.${slot}`, base, new VirtioMmio({ irq: plic.source(irq), trace }));
    });
  }

  #plugDevices(backends: Backends): void {
    const { config, host, timers } = this.#parts;
    const plugs = new Plugs(this.#slots, {
      context: (name) => ({ dma: dmaPort(this.#system.space, name), trace: host.trace, timers }),
      rng: host.rng,
      backends,
    });
    for (const device of config.devices) plugs.plug(device);
    for (const [slot, { device }] of this.#slots.entries()) {
      if (device !== undefined) this.#system.saveables.set(`virtio-mmio.${slot}/${device.typeName}`, device);
    }
  }

  #makeFirmware(clint: Clint): BuiltInSbi | undefined {
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
      memory: dmaPort(this.#system.space, "firmware"),
      console: uartConsole(this.#uart.mmio),
      request,
    });
  }
}

function requestOf(finish: Finish): GuestRequest {
  if (finish.kind === "pass") return { kind: "powerOff" };
  return finish.kind === "reset" ? { kind: "reset" } : { kind: "fail", status: finish.code };
}
