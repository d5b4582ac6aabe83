// The board's device tree, from the same table as its wiring. Equal in meaning to what QEMU writes with `dumpdtb` for
// the devices that exist here (tools/compare-dt.ts); nodes stand in QEMU's order, because Linux names disks by it.
import { DeviceTreeNode } from "../../format/index.ts";
import { HartIrq, type Hart } from "../../target/riscv/port.ts";
import type { VirtOptions } from "./options.ts";
import { IMSIC_FILE_BYTES, IMSIC_IDENTITY_COUNT, IRQ_SOURCE_COUNT, MTIME_OFFSET } from "./memory-map.ts";
import { TIMEBASE_HZ, UART_CLOCK_HZ, VIRTIO_SLOT_COUNT } from "./memory-map.ts";
import { pciMmio64, timerPlaces, virtIrq, virtMap, virtioSlot, type MapEntry, type TimerPlaces } from "./memory-map.ts";

/** What a hart says of itself in the tree. */
export type HartFacts = Pick<Hart, "id" | "isa">;

export interface BoardTreeInput {
  readonly harts: readonly HartFacts[];
  readonly memoryBytes: number;
  readonly options: VirtOptions;
}

/** A node that others refer to. */
interface Referable {
  readonly phandle: number;
}

/** How a device is wired to the platform's interrupt controller; PLIC and APLIC differ in their cells. */
interface IrqParent extends Referable {
  /** Who takes messages, if anybody does. */
  readonly messages?: Referable;
  cells(irq: number): readonly number[];
}

/** Of APLIC's interrupt specifiers (Linux dt-bindings/interrupt-controller/irq.h). */
const IRQ_TYPE_LEVEL_HIGH = 4;

/** First cell of `ranges`: which address space of PCI. */
const PCI_RANGE_IO = 0x0100_0000;
const PCI_RANGE_MEMORY32 = 0x0200_0000;
const PCI_RANGE_MEMORY64 = 0x0300_0000;
/** Where the slot stands in the first cell of a PCI address. */
const PCI_SLOT_SHIFT = 11;

interface HartNodes {
  readonly interruptController: Referable;
}

/** Block size of every cache-block instruction, in bytes (Zic64b). */
const CACHE_BLOCK_BYTES = 64;
const SERIAL_PATH = `/soc/serial@${hex(virtMap.uart.base)}`;

/** Builds the board's tree; `/chosen` has no boot arguments, initrd or seed yet. */
export function buildBoardTree(input: BoardTreeInput): DeviceTreeNode {
  return new BoardTree().build(input);
}

class BoardTree {
  readonly #root = new DeviceTreeNode();
  readonly #soc: DeviceTreeNode = new DeviceTreeNode("soc");
  #lastPhandle = 0;

  build({ harts, memoryBytes, options }: BoardTreeInput): DeviceTreeNode {
    const root = this.#root;
    root.setU32("#address-cells", 2).setU32("#size-cells", 2);
    root.setString("compatible", "riscv-virtio").setString("model", "riscv-virtio,qemu");

    const hartNodes = this.#cpus(harts);
    const irqParent = options.aia === "none" ? this.#plic(hartNodes) : this.#aplic(hartNodes, options.aia);
    const finisher = this.#finisher();
    this.#syscon("poweroff", "syscon-poweroff", 0x5555, finisher);
    this.#syscon("reboot", "syscon-reboot", 0x7777, finisher);
    this.#platformBus(irqParent);
    const memory = root.add(`memory@${hex(virtMap.ram.base)}`).setString("device_type", "memory");
    memory.setU64("reg", virtMap.ram.base, memoryBytes);
    this.#fwCfg();
    root.add("aliases").setString("serial0", SERIAL_PATH);
    root.add("chosen").setString("stdout-path", SERIAL_PATH);

    this.#soc.setU32("#address-cells", 2).setU32("#size-cells", 2);
    this.#soc.setString("compatible", "simple-bus").setEmpty("ranges");
    this.#device("rtc", virtMap.rtc, ["google,goldfish-rtc"], { irqParent, irq: virtIrq.rtc });
    this.#device("serial", virtMap.uart, ["ns16550a"], { irqParent, irq: virtIrq.uart }).setU32(
      "clock-frequency",
      UART_CLOCK_HZ,
    );
    for (let slot = VIRTIO_SLOT_COUNT - 1; slot >= 0; slot--) {
      const place = virtioSlot(slot);
      this.#device("virtio_mmio", place, ["virtio,mmio"], { irqParent, irq: place.irq });
    }
    if (options.aclint) this.#aclint(hartNodes, timerPlaces(options));
    else this.#clint(hartNodes);
    this.#pci(irqParent, memoryBytes);
    root.children.push(this.#soc);
    return root;
  }

  /** Empty, as QEMU's is while no device asks to be there. */
  #platformBus(irqParent: IrqParent): void {
    const { base, lengthBytes } = virtMap.platformBus;
    const node = this.#root.add(`platform-bus@${hex(base)}`).setStrings("compatible", "qemu,platform", "simple-bus");
    node.setU32("#address-cells", 1).setU32("#size-cells", 1).setU32("interrupt-parent", irqParent.phandle);
    node.setU32("ranges", 0, 0, base, lengthBytes);
  }

  #fwCfg(): void {
    const { base, lengthBytes } = virtMap.fwCfg;
    const node = this.#root.add(`fw-cfg@${hex(base)}`).setEmpty("dma-coherent");
    node.setU64("reg", base, lengthBytes).setString("compatible", "qemu,fw-cfg-mmio");
  }

  #cpus(harts: readonly HartFacts[]): HartNodes[] {
    const cpus = this.#root.add("cpus").setU32("#address-cells", 1).setU32("#size-cells", 0);
    cpus.setU32("timebase-frequency", TIMEBASE_HZ);
    const nodes = harts.map(({ id, isa }) => {
      const cpu = cpus
        .add(`cpu@${hex(id)}`)
        .setString("device_type", "cpu")
        .setU32("reg", id);
      cpu.setString("status", "okay").setString("compatible", "riscv");
      for (const [extension, property] of Object.entries(cacheBlockProperties)) {
        if (isa.extensions.includes(extension)) cpu.setU32(property, CACHE_BLOCK_BYTES);
      }
      cpu.setStrings("riscv,isa-extensions", ...isa.extensions).setString("riscv,isa-base", isa.base);
      cpu.setString("riscv,isa", isaString(isa)).setString("mmu-type", isa.mmuType);
      const intc = cpu.add("interrupt-controller").setU32("#interrupt-cells", 1).setEmpty("interrupt-controller");
      intc.setString("compatible", "riscv,cpu-intc");
      return { cpu: this.#refer(cpu), interruptController: this.#refer(intc) };
    });
    const cluster = cpus.add("cpu-map").add("cluster0");
    nodes.forEach(({ cpu }, i) => cluster.add(`core${i}`).setU32("cpu", cpu.phandle));
    return nodes;
  }

  #plic(harts: readonly HartNodes[]): IrqParent {
    const node = this.#mmio("interrupt-controller", virtMap.plic, ["sifive,plic-1.0.0", "riscv,plic0"]);
    node.setU32("riscv,ndev", IRQ_SOURCE_COUNT - 1).setEmpty("interrupt-controller");
    node.setU32("#address-cells", 0).setU32("#interrupt-cells", 1);
    node.setU32("interrupts-extended", ...hartInputs(harts, [HartIrq.meip, HartIrq.seip]));
    return { ...this.#refer(node), cells: (irq) => [irq] };
  }

  /** Two domains; wires are the supervisor's, because the machine's delegates them all. */
  #aplic(harts: readonly HartNodes[], kind: "aplic" | "aplic-imsic"): IrqParent {
    const deliver = (node: DeviceTreeNode, input: HartIrq, files: MapEntry): Referable | undefined => {
      if (kind === "aplic") {
        node.setU32("interrupts-extended", ...hartInputs(harts, [input]));
        return undefined;
      }
      const imsic = this.#imsic(harts, input, files);
      node.setU32("msi-parent", imsic.phandle);
      return imsic;
    };
    const domain = (place: MapEntry): DeviceTreeNode => {
      const node = this.#mmio("interrupt-controller", place, ["qemu,aplic", "riscv,aplic"]);
      node.setU32("riscv,num-sources", IRQ_SOURCE_COUNT).setEmpty("interrupt-controller");
      return node.setU32("#address-cells", 0).setU32("#interrupt-cells", 2);
    };
    const machine = domain(virtMap.aplicM);
    const supervisor = domain(virtMap.aplicS);
    deliver(machine, HartIrq.meip, virtMap.imsicM);
    const messages = deliver(supervisor, HartIrq.seip, virtMap.imsicS);
    const { phandle } = this.#refer(supervisor);
    machine.setU32("riscv,children", phandle).setU32("riscv,delegation", phandle, 1, IRQ_SOURCE_COUNT);
    this.#refer(machine);
    const cells = (irq: number): number[] => [irq, IRQ_TYPE_LEVEL_HIGH];
    return { phandle, cells, ...(messages === undefined ? {} : { messages }) };
  }

  #imsic(harts: readonly HartNodes[], input: HartIrq, { base }: MapEntry): Referable {
    const place = { base, lengthBytes: harts.length * IMSIC_FILE_BYTES };
    const node = this.#mmio("interrupt-controller", place, ["qemu,imsics", "riscv,imsics"]);
    node.setU32("riscv,num-ids", IMSIC_IDENTITY_COUNT).setEmpty("msi-controller").setEmpty("interrupt-controller");
    node.setU32("interrupts-extended", ...hartInputs(harts, [input])).setU32("#interrupt-cells", 0);
    return this.#refer(node);
  }

  #aclint(harts: readonly HartNodes[], { mswi, mtimer, sswi }: TimerPlaces): void {
    const software = (name: string, place: MapEntry, compatible: string, input: HartIrq): void => {
      const node = this.#mmio(name, place, [compatible]).setEmpty("interrupt-controller");
      node.setU32("interrupts-extended", ...hartInputs(harts, [input])).setU32("#interrupt-cells", 0);
    };
    if (sswi !== undefined) software("sswi", sswi, "riscv,aclint-sswi", HartIrq.ssip);
    const mtime = mtimer.base + MTIME_OFFSET;
    const node = this.#soc.add(`mtimer@${hex(mtime)}`).setString("compatible", "riscv,aclint-mtimer");
    node.setU64("reg", mtime, mtimer.lengthBytes - MTIME_OFFSET, mtimer.base, MTIME_OFFSET);
    node.setU32("interrupts-extended", ...hartInputs(harts, [HartIrq.mtip]));
    if (mswi !== undefined) software("mswi", mswi, "riscv,aclint-mswi", HartIrq.msip);
  }

  #clint(harts: readonly HartNodes[]): void {
    const node = this.#mmio("clint", virtMap.clint, ["sifive,clint0", "riscv,clint0"]);
    node.setU32("interrupts-extended", ...hartInputs(harts, [HartIrq.msip, HartIrq.mtip]));
  }

  /** IEEE 1275's PCI binding, with configuration space mapped. */
  #pci(irqParent: IrqParent, memoryBytes: number): void {
    const node = this.#mmio("pci", virtMap.pciEcam, ["pci-host-ecam-generic"]).setString("device_type", "pci");
    node.setU32("#address-cells", 3).setU32("#size-cells", 2).setU32("#interrupt-cells", 1);
    node.setU32("linux,pci-domain", 0).setU32("bus-range", 0, 0xff).setEmpty("dma-coherent");
    if (irqParent.messages !== undefined) node.setU32("msi-parent", irqParent.messages.phandle);
    const { pciPio, pciMmio32 } = virtMap;
    const mmio64 = pciMmio64(memoryBytes);
    node.setU32(
      "ranges",
      ...[PCI_RANGE_IO, ...twoCells(0), ...twoCells(pciPio.base), ...twoCells(pciPio.lengthBytes)],
      ...[
        PCI_RANGE_MEMORY32,
        ...twoCells(pciMmio32.base),
        ...twoCells(pciMmio32.base),
        ...twoCells(pciMmio32.lengthBytes),
      ],
      ...[PCI_RANGE_MEMORY64, ...twoCells(mmio64.base), ...twoCells(mmio64.base), ...twoCells(mmio64.lengthBytes)],
    );
    // The pins of four slots; those of the others repeat them.
    node.setU32("interrupt-map-mask", 3 << PCI_SLOT_SHIFT, 0, 0, 7);
    const pins = [0, 1, 2, 3];
    const map = pins.flatMap((slot) =>
      pins.flatMap((pin) => {
        const wire = irqParent.cells(virtIrq.pci + ((slot + pin) % pins.length));
        return [slot << PCI_SLOT_SHIFT, 0, 0, pin + 1, irqParent.phandle, ...wire];
      }),
    );
    node.setU32("interrupt-map", ...map);
  }

  #finisher(): Referable {
    return this.#refer(this.#mmio("test", virtMap.testFinisher, ["sifive,test1", "sifive,test0", "syscon"]));
  }

  #syscon(name: string, compatible: string, value: number, finisher: Referable): void {
    const node = this.#root.add(name).setString("compatible", compatible);
    node.setU32("value", value).setU32("offset", 0).setU32("regmap", finisher.phandle);
  }

  #device(
    name: string,
    place: MapEntry,
    compatible: readonly string[],
    wiring: { irqParent: IrqParent; irq: number },
  ): DeviceTreeNode {
    const node = this.#mmio(name, place, compatible).setU32("interrupt-parent", wiring.irqParent.phandle);
    return node.setU32("interrupts", ...wiring.irqParent.cells(wiring.irq));
  }

  #mmio(name: string, place: MapEntry, compatible: readonly string[]): DeviceTreeNode {
    const node = this.#soc.add(`${name}@${hex(place.base)}`).setU64("reg", place.base, place.lengthBytes);
    return node.setStrings("compatible", ...compatible);
  }

  #refer(node: DeviceTreeNode): Referable {
    node.phandle = ++this.#lastPhandle;
    return { phandle: this.#lastPhandle };
  }
}

const cacheBlockProperties = {
  zicbom: "riscv,cbom-block-size",
  zicbop: "riscv,cbop-block-size",
  zicboz: "riscv,cboz-block-size",
} as const;

/** `rv64imafdc_zicsr_…`: single letters joined, the others each after an underscore. */
function isaString(isa: Hart["isa"]): string {
  const letters = isa.extensions.filter((name) => name.length === 1 && name !== "i");
  const others = isa.extensions.filter((name) => name.length > 1);
  return [isa.base + letters.join(""), ...others].join("_");
}

function hartInputs(harts: readonly HartNodes[], inputs: readonly HartIrq[]): number[] {
  return harts.flatMap((hart) => inputs.flatMap((input) => [hart.interruptController.phandle, input]));
}

function twoCells(n: number): [high: number, low: number] {
  return [Math.floor(n / 2 ** 32), n >>> 0];
}

function hex(n: number): string {
  return n.toString(16);
}
