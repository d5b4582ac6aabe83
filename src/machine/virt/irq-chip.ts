// The board's interrupt controllers, whichever `-M virt,aia=` asks for, behind one seam: a wire for each platform
// source, and what harts and firmware need to know of them.
import type { TracePort } from "../../base/index.ts";
import { Aplic, APLIC_PRIORITY_MASK, Imsic, Plic, type IrqLine } from "../../device/index.ts";
import { HartIrq, type ExternalInterruptPort, type ExternalInterrupts } from "../../target/riscv/port.ts";
import type { HartLines } from "../hart-lines.ts";
import { messagePort } from "../message-port.ts";
import type { System } from "../system.ts";
import { delegateToSupervisor } from "./aplic-firmware.ts";
import type { VirtOptions } from "./options.ts";
import { IMSIC_FILE_BYTES, IMSIC_IDENTITY_COUNT, IRQ_SOURCE_COUNT, virtMap } from "./memory-map.ts";

export interface IrqChip {
  /** The wire of a source of `virtIrq`. */
  source(irq: number): IrqLine;
  /** What a hart sees of its controllers beyond its interrupt lines. */
  external(hartId: number): ExternalInterrupts | undefined;
  /** What firmware does before supervisor software, after each reset. */
  setUpForSupervisor(): void;
}

export interface IrqChipParts {
  readonly system: System;
  readonly lines: HartLines;
  readonly hartCount: number;
  readonly trace: TracePort;
}

/** Makes and places the controllers. */
export function placeIrqChip(kind: VirtOptions["aia"], parts: IrqChipParts): IrqChip {
  if (kind === "none") return placePlic(parts);
  return kind === "aplic" ? placeWiredAplic(parts) : placeMessageAplic(parts);
}

function placePlic({ system, lines, hartCount, trace }: IrqChipParts): IrqChip {
  // As the device tree says: of each hart, M first, then S.
  const contexts = eachHart(hartCount, (id) => [lines.line(id, HartIrq.meip), lines.line(id, HartIrq.seip)]).flat();
  const plic = new Plic({ sourceCount: IRQ_SOURCE_COUNT - 1, contexts, trace });
  system.place("plic", virtMap.plic.base, plic);
  return {
    source: (irq) => plic.source(irq),
    external: () => undefined,
    setUpForSupervisor: () => undefined,
  };
}

function placeWiredAplic(parts: IrqChipParts): IrqChip {
  const { lines, hartCount } = parts;
  const wires = (irq: HartIrq): Delivery => ({
    kind: "direct",
    harts: eachHart(hartCount, (id) => lines.line(id, irq)),
  });
  const { machine, supervisor } = placeDomains(parts, wires(HartIrq.meip), wires(HartIrq.seip));
  return {
    source: (irq) => machine.source(irq),
    external: (hartId) => ({
      machine: { priority: () => machine.topPriority(hartId), priorityMask: APLIC_PRIORITY_MASK },
      supervisor: { priority: () => supervisor.topPriority(hartId), priorityMask: APLIC_PRIORITY_MASK },
    }),
    setUpForSupervisor: () => delegateToSupervisor(machine.mmio),
  };
}

function placeMessageAplic(parts: IrqChipParts): IrqChip {
  const { system, lines, hartCount, trace } = parts;
  const files = (name: string, base: number, irq: HartIrq): Imsic[] =>
    eachHart(hartCount, (id) => {
      const file = new Imsic({ identityCount: IMSIC_IDENTITY_COUNT, irq: lines.messages(id, irq), trace });
      return system.place(`imsic.${name}${id}`, base + id * IMSIC_FILE_BYTES, file);
    });
  const machineFiles = files("m", virtMap.imsicM.base, HartIrq.meip);
  const supervisorFiles = files("s", virtMap.imsicS.base, HartIrq.seip);
  const delivery: Delivery = { kind: "msi", port: messagePort(system.space, "aplic", trace) };
  const { machine } = placeDomains(parts, delivery, delivery);
  const port = (file: Imsic): ExternalInterruptPort => ({ priority: () => file.top, priorityMask: 0xff, file });
  return {
    source: (irq) => machine.source(irq),
    external: (hartId) => ({ machine: port(machineFiles[hartId]!), supervisor: port(supervisorFiles[hartId]!) }),
    setUpForSupervisor: () => delegateToSupervisor(machine.mmio, hartCount),
  };
}

type Delivery = ConstructorParameters<typeof Aplic>[0]["delivery"];

/** The root domain is machine mode's; supervisor mode's is its only child. */
function placeDomains(
  { system, trace }: IrqChipParts,
  toMachine: Delivery,
  toSupervisor: Delivery,
): { readonly machine: Aplic; readonly supervisor: Aplic } {
  const common = { sourceCount: IRQ_SOURCE_COUNT, trace };
  const machine = new Aplic({ ...common, level: "machine", delivery: toMachine });
  const supervisor = new Aplic({ ...common, level: "supervisor", delivery: toSupervisor, parent: machine });
  system.place("aplic.m", virtMap.aplicM.base, machine);
  system.place("aplic.s", virtMap.aplicS.base, supervisor);
  return { machine, supervisor };
}

function eachHart<T>(hartCount: number, make: (hartId: number) => T): T[] {
  return Array.from({ length: hartCount }, (_, hartId) => make(hartId));
}
