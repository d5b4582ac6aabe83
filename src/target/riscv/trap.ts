// Traps and returns from them (privileged spec §3.1.6 to §3.1.8, §3.3.2, §10.1).
import { interruptFlag } from "./causes.ts";
import { F, Mode, Mstatus, mppShift, W, type HartCore } from "./hart-core.ts";

/** True when the exception goes to S-mode. */
export function isDelegated(core: HartCore, cause: number): boolean {
  return core.mode !== Mode.M && (core.get(F.medeleg) & (1n << BigInt(cause))) !== 0n;
}

function vector(base: bigint, cause: number, interrupt: boolean): bigint {
  const direct = base & ~3n;
  return interrupt && (base & 3n) === 1n ? direct + BigInt(cause * 4) : direct;
}

export function enterSupervisor(core: HartCore, cause: number, tval: bigint, interrupt: boolean): void {
  core.set(F.scause, BigInt(cause) | (interrupt ? interruptFlag : 0n));
  core.set(F.sepc, core.pc);
  core.set(F.stval, tval);
  let status = core.word(W.mstatus);
  status = (status & ~(Mstatus.spie | Mstatus.spp)) | ((status & Mstatus.sie) !== 0 ? Mstatus.spie : 0);
  if (core.mode === Mode.S) status |= Mstatus.spp;
  core.setWord(W.mstatus, status & ~Mstatus.sie);
  core.mode = Mode.S;
  core.pc = vector(core.get(F.stvec), cause, interrupt);
}

export function enterMachine(core: HartCore, cause: number, tval: bigint, interrupt: boolean): void {
  core.set(F.mcause, BigInt(cause) | (interrupt ? interruptFlag : 0n));
  core.set(F.mepc, core.pc);
  core.set(F.mtval, tval);
  let status = core.word(W.mstatus);
  status = (status & ~(Mstatus.mpie | Mstatus.mpp)) | ((status & Mstatus.mie) !== 0 ? Mstatus.mpie : 0);
  status |= core.mode << mppShift;
  core.setWord(W.mstatus, status & ~Mstatus.mie);
  core.mode = Mode.M;
  core.pc = vector(core.get(F.mtvec), cause, interrupt);
}

export function leaveSupervisor(core: HartCore): void {
  let status = core.word(W.mstatus);
  core.mode = (status & Mstatus.spp) !== 0 ? Mode.S : Mode.U;
  status = (status & ~Mstatus.sie) | ((status & Mstatus.spie) !== 0 ? Mstatus.sie : 0);
  // Below M-mode now, so MPRV ends (§3.1.6.3).
  core.setWord(W.mstatus, (status | Mstatus.spie) & ~(Mstatus.spp | Mstatus.mprv));
  core.pc = core.get(F.sepc);
}

/** `least` is the least privileged mode that the hart has: MPP afterwards. */
export function leaveMachine(core: HartCore, least: Mode): void {
  let status = core.word(W.mstatus);
  core.mode = ((status & Mstatus.mpp) >>> mppShift) as Mode;
  status = (status & ~Mstatus.mie) | ((status & Mstatus.mpie) !== 0 ? Mstatus.mie : 0);
  status = ((status | Mstatus.mpie) & ~Mstatus.mpp) | (least << mppShift);
  if (core.mode !== Mode.M) status &= ~Mstatus.mprv;
  core.setWord(W.mstatus, status);
  core.pc = core.get(F.mepc);
}
