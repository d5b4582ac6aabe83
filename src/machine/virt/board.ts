// The `virt` board: memory, devices and their wiring, harts, firmware, images.
import type { TimerQueue } from "../../base/index.ts";
import {
  AclintMswi,
  AclintMtimer,
  AclintSswi,
  GoldfishRtc,
  Ns16550a,
  SifiveTest,
  type Finish,
  type IrqLine,
  type WorkPort,
} from "../../device/index.ts";
import type { PciBus } from "../../device/pci/index.ts";
import { VirtioMmio } from "../../device/virtio/index.ts";
import { WorldPlan, anonymousRam, dmaPort } from "../../memory/index.ts";
import type { DeviceStateName, IommufdBackend } from "../../vfio/index.ts";
import type { VfioHost } from "../../vfiohost/index.ts";
import { HartIrq, type Hart } from "../../target/riscv/port.ts";
import { assignmentFacts, blockersOf, planIommufds, type PlannedIommufds } from "../assigned-host.ts";
import type { Board } from "../board.ts";
import { planBoot, type BootPlan } from "../boot/boot-plan.ts";
import { RNG_SEED_BYTES } from "../boot/chosen.ts";
import { MachineError } from "../errors.ts";
import { BuiltInSbi } from "../firmware/sbi/sbi.ts";
import type { GuestRequest } from "../guest-request.ts";
import { DirtyWatch } from "../dirty-watch.ts";
import { HartLines } from "../hart-lines.ts";
import { busFacts, flatFacts, regionFacts } from "../inspect.ts";
import type {
  BusFacts,
  DeviceConfig,
  DeviceFacts,
  HartPlanner,
  MachineConfig,
  MachineHost,
  RegionFacts,
} from "../port.ts";
import { rtcTime } from "../rtc-time.ts";
import { System } from "../system.ts";
import { Backends } from "./backends.ts";
import { readVirtConfig, VIRT_VERSION } from "./config.ts";
import type { VirtOptions } from "./options.ts";
import { buildBoardTree } from "./device-tree.ts";
import { placeFwCfg } from "./fw-cfg.ts";
import { placeIrqChip, type IrqChip } from "./irq-chip.ts";
import { TIMEBASE_HZ, UART_CLOCK_HZ, VIRTIO_SLOT_COUNT } from "./memory-map.ts";
import { timerPlaces, virtIrq, virtMap, virtioSlot } from "./memory-map.ts";
import { placePciHost } from "./pci-host.ts";
import { Plugs } from "./plugs.ts";
import { uartConsole } from "./uart-console.ts";

export interface BoardParts {
  readonly config: MachineConfig;
  readonly host: MachineHost;
  readonly planHarts: HartPlanner;
  /** Guest time. */
  readonly timers: TimerQueue;
  /** For devices that wait for the host. */
  readonly work?: WorkPort;
  /** Called during a run of a hart. */
  readonly request: (request: GuestRequest) => void;
  /** A hart may have become runnable. */
  readonly wake: () => void;
  /** Another hart may wait for what this one has been told. */
  readonly giveWayTo: (hart: Hart) => void;
}

/** Throws typed errors for what the configuration asks and cannot be had; nothing is left open then. */
export function makeVirtBoard(parts: BoardParts): Board {
  const { config, planHarts } = parts;
  const options = readVirtConfig(config);
  const plan = new WorldPlan();
  const { model, features } = config.cpu;
  const cpu = { model, features: options.aia === "aplic-imsic" ? { ...features, ...IMSIC_FEATURES } : features };
  const hartConfigs = Array.from({ length: config.smp }, (_, hartId) => ({ hartId, ...cpu }));
  const plannedHarts = planHarts(plan, hartConfigs, config.accelerator);
  const maskRom = plan.ram("virt.mrom", virtMap.maskRom.lengthBytes, { readOnly: true });
  const { memoryBytes, preallocated = false } = config;
  const ram = plan.ram("virt.ram", memoryBytes, { backend: anonymousRam({ preallocated }) });
  const iommufds = planIommufds(plan, config.iommufds ?? []);
  const system = new System(plan.create());
  try {
    system.placeRam(maskRom, virtMap.maskRom.base);
    system.placeRam(ram, virtMap.ram.base);
    return new VirtBoard(parts, options, system, { harts: plannedHarts, iommufds });
  } catch (error) {
    system.close();
    throw error;
  }
}

/** Harts with interrupt files have the registers to use them, whatever `-cpu` says, as in QEMU. */
const IMSIC_FEATURES = { smaia: true, ssaia: true };

/** What was planned before the memory was there. */
interface Planned {
  readonly harts: ReturnType<HartPlanner>;
  readonly iommufds: PlannedIommufds;
}

class VirtBoard implements Board {
  readonly machineType = VIRT_VERSION;
  readonly harts: readonly Hart[];
  readonly saveables: Board["saveables"];
  readonly #parts: BoardParts;
  readonly #system: System;
  readonly #slots: readonly VirtioMmio[];
  readonly #plugs: Plugs;
  readonly #iommufds: ReadonlyMap<string, IommufdBackend>;
  readonly #hosts: VfioHost[] = [];
  readonly #watch: DirtyWatch | undefined;
  readonly #uart: Ns16550a;
  readonly #boot: BootPlan;
  readonly #sbi: BuiltInSbi | undefined;
  readonly #irqChip: IrqChip;
  #seed: Uint8Array = new Uint8Array(RNG_SEED_BYTES);

  constructor(parts: BoardParts, options: VirtOptions, system: System, planned: Planned) {
    this.#parts = parts;
    this.#system = system;
    this.saveables = system.saveables;
    const { config, timers, host } = parts;

    const lines = new HartLines(parts);
    const timebase = this.#placeTimers(lines, options);
    const irqChip = placeIrqChip(options.aia, { system, lines, hartCount: config.smp, trace: host.trace });
    this.#irqChip = irqChip;
    this.harts = planned.harts.create(system.space.world, {
      bus: (source) => system.space.bus(source),
      timebase,
      rng: host.rng,
      timers,
      externalInterrupts: (hartId) => irqChip.external(hartId),
      resetVector: BigInt(virtMap.maskRom.base),
      firmware: () => this.#sbi,
    });
    lines.connect(this.harts);
    for (const hart of this.harts) system.saveables.set(`hart${hart.id}`, hart);

    if (config.dirtyOracle === true) {
      const tell = (text: string): void => host.notice?.(text);
      this.#watch = new DirtyWatch({ space: system.space, timers, tell });
    }
    placeFwCfg(system, config, host.trace);
    const rootBus = placePciHost(system, irqChip, config.memoryBytes, host.trace);
    const backends = new Backends(parts.host);
    this.#uart = this.#placeDevices(irqChip, backends);
    this.#slots = this.#placeSlots(irqChip);
    this.#iommufds = planned.iommufds({
      space: system.space,
      timers,
      trace: host.trace,
      disks: (drive, user) => backends.blockNode(drive, user),
      work: parts.work,
      warn: (message) => host.notice?.(message),
      made: (made) => {
        this.#hosts.push(made.vfio);
        host.softwareHostMade?.(made);
      },
      onDeviceWrite: this.#watch === undefined ? undefined : this.#watch.noteWrite.bind(this.#watch),
    });
    this.#plugs = this.#plugDevices(backends, rootBus);

    const tree = buildBoardTree({ harts: this.harts, memoryBytes: config.memoryBytes, options });
    this.#boot = planBoot(config, { base: virtMap.ram.base, lengthBytes: config.memoryBytes }, tree);
    this.#sbi = this.#makeFirmware(timebase);
    if (this.#sbi !== undefined) system.saveables.set("sbi", this.#sbi);
  }

  get canStart(): boolean {
    return this.#boot.start.kind !== "nothing";
  }

  get deviceTree(): Uint8Array {
    return this.#boot.boardTree(this.#seed);
  }

  get assignments(): Board["assignments"] {
    return [...this.#iommufds.values()].flatMap(assignmentFacts);
  }

  get migrationBlockers(): Board["migrationBlockers"] {
    return blockersOf(this.#iommufds.values());
  }

  get movingDevices(): Board["movingDevices"] {
    return this.#plugs.movingDevices;
  }

  get addressTree(): RegionFacts {
    return regionFacts(this.#system.space.root);
  }

  get flatView(): readonly RegionFacts[] {
    return flatFacts(this.#system.space);
  }

  get systemBus(): BusFacts {
    const devices = this.#system.placed.map(({ at, device }): DeviceFacts => {
      const slot = this.#slots.indexOf(device as VirtioMmio);
      return {
        typeName: device.typeName,
        id: undefined,
        properties: {},
        ranges: [{ start: at, lengthBytes: device.mmioLengthBytes }],
        buses: at === virtMap.pciEcam.base ? [this.#plugs.pciFacts] : slot >= 0 ? [this.#plugs.slotFacts(slot)] : [],
      };
    });
    return busFacts("main-system-bus", "System", devices);
  }

  set onDeviceRemoved(told: (id: string) => void) {
    this.#plugs.onRemoved = told;
  }

  set onDeviceState(told: (id: string | number, state: DeviceStateName) => void) {
    this.#plugs.onDeviceState = told;
  }

  get notes(): Board["notes"] {
    return this.#system.space.world.notes;
  }

  get memory(): WebAssembly.Memory {
    return this.#system.space.world.memory;
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
    if (start.kind === "supervisor") {
      this.#irqChip.setUpForSupervisor();
      this.#sbi!.boot(BigInt(start.entry), BigInt(this.#boot.deviceTreeAt));
    } else for (const hart of this.harts) hart.started = start.kind === "machineMode";
  }

  async drain(): Promise<void> {
    this.#uart.flush();
    const devices = [...this.#slots.map((slot) => slot.device), ...this.#plugs.pciDevices, ...this.#hosts];
    await Promise.all(devices.map(async (device) => device?.drain?.()));
  }

  plugDevice(config: DeviceConfig): void {
    this.#plugs.hotPlug(config);
  }

  unplugDevice(id: string): void {
    this.#plugs.unplug(id);
  }

  close(): void {
    this.#watch?.close();
    this.#system.close();
  }

  /** Returns the timer, which is what harts read as `time`. */
  #placeTimers(lines: HartLines, options: VirtOptions): AclintMtimer {
    const { config, timers, host } = this.#parts;
    const { trace } = host;
    const { mswi, mtimer, sswi } = timerPlaces(options);
    const each = (lineOf: (hartId: number) => IrqLine): IrqLine[] =>
      Array.from({ length: config.smp }, (_, id) => lineOf(id));
    if (mswi !== undefined) {
      const harts = each((id) => lines.messages(id, HartIrq.msip));
      this.#system.place("mswi", mswi.base, new AclintMswi({ harts, trace }));
    }
    if (sswi !== undefined) {
      const harts = each((id) => lines.messages(id, HartIrq.ssip));
      this.#system.place("sswi", sswi.base, new AclintSswi({ harts, trace }));
    }
    const harts = each((id) => lines.line(id, HartIrq.mtip));
    const device = new AclintMtimer({ harts, frequencyHz: TIMEBASE_HZ, timers, trace });
    return this.#system.place("mtimer", mtimer.base, device);
  }

  /** Returns the UART, which firmware and `drain` need. */
  #placeDevices(irqChip: IrqChip, backends: Backends): Ns16550a {
    const { config, host, timers, request } = this.#parts;
    const { trace } = host;
    const finish = (how: Finish): void => request(requestOf(how));
    this.#system.place("test", virtMap.testFinisher.base, new SifiveTest({ finish, trace }));

    const time = rtcTime(config.rtc, host, timers.clock);
    const rtc = new GoldfishRtc({ time, timers, irq: irqChip.source(virtIrq.rtc), trace });
    this.#system.place("rtc", virtMap.rtc.base, rtc);

    const serial = config.serials[0];
    const backend = serial === undefined ? undefined : backends.chardev(serial, "serial0");
    const uart = new Ns16550a({ backend, clockHz: UART_CLOCK_HZ, timers, irq: irqChip.source(virtIrq.uart), trace });
    return this.#system.place("uart", virtMap.uart.base, uart);
  }

  #placeSlots(irqChip: IrqChip): VirtioMmio[] {
    const { trace } = this.#parts.host;
    return Array.from({ length: VIRTIO_SLOT_COUNT }, (_, slot) => {
      const { base, irq } = virtioSlot(slot);
      return this.#system.place(`virtio-mmio.${slot}`, base, new VirtioMmio({ irq: irqChip.source(irq), trace }));
    });
  }

  #plugDevices(backends: Backends, rootBus: PciBus): Plugs {
    const { config, host, timers, work } = this.#parts;
    const system = this.#system;
    const shared = { trace: host.trace, timers, ...(work === undefined ? {} : { work }) };
    const plugs = new Plugs({
      system,
      mmio: this.#slots,
      rootBus,
      timers,
      iommufds: this.#iommufds,
      work,
      context: (name) => ({ dma: dmaPort(system.space, name), ...shared }),
      rng: host.rng,
      backends,
    });
    for (const device of config.devices) plugs.plug(device);
    return plugs;
  }

  #makeFirmware(timebase: AclintMtimer): BuiltInSbi | undefined {
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
      timebase,
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
