// Which interrupt is taken, and at which level (privileged spec §3.1.9, §10.1.3; AIA §5.1 to §5.4).
import { F, Mode, Mstatus, W, type HartCore } from "./hart-core.ts";
import { HartIrq, type ExternalInterruptPort } from "./port.ts";

/** By falling priority (AIA §5.1). Those for custom use come last, higher numbers first. */
const defaultOrder: readonly number[] = [
  ...[47, 23, 46, 45, 22, 44, 43, 21, 42, 41, 20, 40],
  ...[11, 3, 7, 9, 1, 5, 12, 10, 2, 6, 13, 14],
  ...[39, 19, 38, 37, 18, 36, 35, 17, 34, 33, 16, 32],
  ...Array.from({ length: 16 }, (_, i) => 63 - i),
  ...Array.from({ length: 8 }, (_, i) => 31 - i),
  15,
];
const ranks: Uint8Array = new Uint8Array(64);
defaultOrder.forEach((irq, rank) => (ranks[irq] = rank));

/** Priority number of an external interrupt that no controller gives one, and of what comes after all those. */
const UNNUMBERED = 256;
const LOWEST = 0x1000;
const PRIORITY_LIMIT = 255;
const IDENTITY_SHIFT = 16;
const SEIP = 0x200n;

/** Added to an interrupt's number: it traps to the supervisor. */
export const toSupervisor = 64;

/** The interrupt to take now, with `toSupervisor` where it traps there; -1 for none. */
export function pendingInterrupt(core: HartCore): number {
  const pending = core.pendingBits & core.word(W.mie);
  const hasVirtual = core.aia.mvien !== 0n;
  if (pending === 0 && !hasVirtual) return -1;
  const status = core.word(W.mstatus);
  const delegated = core.word(W.mideleg);
  if ((pending & ~delegated) !== 0 && (core.mode < Mode.M || (status & Mstatus.mie) !== 0)) {
    return machineTop(core) >>> IDENTITY_SHIFT;
  }
  if (core.mode === Mode.M || (core.mode === Mode.S && (status & Mstatus.sie) === 0)) return -1;
  if ((pending & delegated) === 0 && !hasVirtual) return -1;
  const top = supervisorTop(core);
  return top === 0 ? -1 : (top >>> IDENTITY_SHIFT) + toSupervisor;
}

/** What ends `wfi`: an interrupt that is pending and enabled at any level, whatever the global enables (AIA §5.5). */
export function hasPendingInterrupt(core: HartCore): boolean {
  return (core.pendingBits & core.word(W.mie)) !== 0 || virtualPending(core) !== 0n;
}

/** `mtopi`: the top interrupt of machine level in bits 27:16, its priority in 7:0; 0 for none. */
export function machineTop(core: HartCore): number {
  const candidates = core.pendingBits & core.word(W.mie) & ~core.word(W.mideleg);
  if (candidates === 0) return 0;
  const { external, machinePriorities } = core.aia;
  return topOf(candidates, 0, HartIrq.meip, machinePriorities, externalPriority(core, HartIrq.meip, external?.machine));
}

/** `stopi`, as `machineTop`. */
export function supervisorTop(core: HartCore): number {
  const own = virtualPending(core);
  const low = (core.pendingBits & core.word(W.mie) & core.word(W.mideleg)) | Number(own & 0xffff_ffffn);
  const high = Number(own >> 32n);
  if (low === 0 && high === 0) return 0;
  const { external, supervisorPriorities } = core.aia;
  const number = externalPriority(core, HartIrq.seip, external?.supervisor);
  return topOf(low, high, HartIrq.seip, supervisorPriorities, number);
}

/** Interrupts that the supervisor has by mvien and not by mideleg: pending in mvip. */
export function virtualPendingBits(core: HartCore): bigint {
  const { aia } = core;
  if (aia.mvien === 0n) return 0n;
  return ((aia.mvip & ~SEIP) | (core.get(F.mip) & SEIP)) & aia.mvien & ~core.get(F.mideleg);
}

function virtualPending(core: HartCore): bigint {
  return virtualPendingBits(core) & core.aia.sie;
}

/** Software's SEIP has no number of its own (AIA §5.4.1). */
function externalPriority(core: HartCore, irq: HartIrq, controller: ExternalInterruptPort | undefined): number {
  const isDriven = (core.lines & (1 << irq)) !== 0;
  const number = isDriven && controller !== undefined ? controller.priority() : 0;
  return number === 0 ? UNNUMBERED : number;
}

/** The smallest priority number is first; among equals, the default order decides. */
function topOf(low: number, high: number, external: HartIrq, numbers: Uint8Array, externalNumber: number): number {
  let best = 0;
  let bestNumber = LOWEST + 1;
  for (let rank = 0; rank < defaultOrder.length; rank++) {
    const irq = defaultOrder[rank]!;
    if (((irq < 32 ? low : high) & (1 << (irq & 31))) === 0) continue;
    const number = irq === external ? externalNumber : numberOf(numbers[irq]!, rank, external);
    if (number >= bestNumber) continue;
    best = irq;
    bestNumber = number;
  }
  return (best << IDENTITY_SHIFT) | Math.min(bestNumber, PRIORITY_LIMIT);
}

/** 0 leaves an interrupt before or after all external ones, as the default order has it. */
function numberOf(number: number, rank: number, external: HartIrq): number {
  if (number !== 0) return number;
  return rank < ranks[external]! ? 0 : LOWEST;
}
