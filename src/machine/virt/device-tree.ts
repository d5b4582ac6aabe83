// The board's device tree, from the same table as its wiring. Equal in meaning to what QEMU writes with `dumpdtb` for
// the devices that exist here (tools/compare-dt.ts); nodes stand in QEMU's order, because Linux names disks by it.
import { DeviceTreeNode } from "../../format/index.ts";
import { HartIrq, type Hart } from "../../target/riscv/port.ts";
import { IRQ_SOURCE_COUNT, TIMEBASE_HZ, UART_CLOCK_HZ, VIRTIO_SLOT_COUNT } from "./memory-map.ts";
import { virtIrq, virtMap, virtioSlot, type MapEntry } from "./memory-map.ts";

/** What a hart says of itself in the tree. */
export type HartFacts = Pick<Hart, "id" | "isa">;

export interface BoardTreeInput {
  readonly harts: readonly HartFacts[];
  readonly memoryBytes: number;
}

/** A node that others refer to. */
interface Referable {
  readonly phandle: number;
}

/** How a device is wired to the platform's interrupt controller; PLIC and APLIC differ in their cells. */
interface IrqChip extends Referable {
  cells(irq: number): readonly number[];
}

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

  build({ harts, memoryBytes }: BoardTreeInput): DeviceTreeNode {
    const root = this.#root;
    root.setU32("#address-cells", 2).setU32("#size-cells", 2);
    root.setString("compatible", "riscv-virtio").setString("model", "riscv-virtio,qemu");

    const hartNodes = this.#cpus(harts);
    const irqChip = this.#plic(hartNodes);
    const finisher = this.#finisher();
    this.#syscon("poweroff", "syscon-poweroff", 0x5555, finisher);
    this.#syscon("reboot", "syscon-reboot", 0x7777, finisher);
    const memory = root.add(`memory@${hex(virtMap.ram.base)}`).setString("device_type", "memory");
    memory.setU64("reg", virtMap.ram.base, memoryBytes);
    root.add("aliases").setString("serial0", SERIAL_PATH);
    root.add("chosen").setString("stdout-path", SERIAL_PATH);

    this.#soc.setU32("#address-cells", 2).setU32("#size-cells", 2);
    this.#soc.setString("compatible", "simple-bus").setEmpty("ranges");
    this.#device("rtc", virtMap.rtc, ["google,goldfish-rtc"], { irqChip, irq: virtIrq.rtc });
    this.#device("serial", virtMap.uart, ["ns16550a"], { irqChip, irq: virtIrq.uart }).setU32(
      "clock-frequency",
      UART_CLOCK_HZ,
    );
    for (let slot = VIRTIO_SLOT_COUNT - 1; slot >= 0; slot--) {
      const place = virtioSlot(slot);
      this.#device("virtio_mmio", place, ["virtio,mmio"], { irqChip, irq: place.irq });
    }
    this.#clint(hartNodes);
    root.children.push(this.#soc);
    return root;
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

  #plic(harts: readonly HartNodes[]): IrqChip {
    const node = this.#mmio("interrupt-controller", virtMap.plic, ["sifive,plic-1.0.0", "riscv,plic0"]);
    node.setU32("riscv,ndev", IRQ_SOURCE_COUNT - 1).setEmpty("interrupt-controller");
    node.setU32("#address-cells", 0).setU32("#interrupt-cells", 1);
    node.setU32("interrupts-extended", ...hartInputs(harts, [HartIrq.meip, HartIrq.seip]));
    return { ...this.#refer(node), cells: (irq) => [irq] };
  }

  #clint(harts: readonly HartNodes[]): void {
    const node = this.#mmio("clint", virtMap.clint, ["sifive,clint0", "riscv,clint0"]);
    node.setU32("interrupts-extended", ...hartInputs(harts, [HartIrq.msip, HartIrq.mtip]));
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
    wiring: { irqChip: IrqChip; irq: number },
  ): DeviceTreeNode {
    const node = this.#mmio(name, place, compatible).setU32("interrupt-parent", wiring.irqChip.phandle);
    return node.setU32("interrupts", ...wiring.irqChip.cells(wiring.irq));
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

function hex(n: number): string {
  return n.toString(16);
}
