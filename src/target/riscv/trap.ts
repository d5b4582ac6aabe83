// Traps and returns from them (privileged spec §3.1.6 to §3.1.8, §3.3.2, §10.1).
import { F, Mode, Mstatus, mppShift, W, type HartCore } from "./hart-core.ts";

/** The interrupt bit of a cause, in its upper half. */
const interruptBit = 1 << 31;

/** True when the exception goes to S-mode. */
export function isDelegated(core: HartCore, cause: number): boolean {
  return core.mode !== Mode.M && cause < 32 && ((core.word(W.medeleg) >>> cause) & 1) !== 0;
}

function goToVector(core: HartCore, base: number, cause: number, interrupt: boolean): void {
  const low = core.word(base);
  core.setWord(W.pc, low & ~3);
  core.setWord(W.pc + 1, core.word(base + 1));
  if (interrupt && (low & 3) === 1) core.pc += BigInt(cause * 4);
}

function setCause(core: HartCore, field: number, cause: number, interrupt: boolean): void {
  core.setWord(field, cause);
  core.setWord(field + 1, interrupt ? interruptBit : 0);
}

export function enterSupervisor(core: HartCore, cause: number, tval: bigint, interrupt: boolean): void {
  setCause(core, W.scause, cause, interrupt);
  core.copy(W.sepc, W.pc);
  core.set(F.stval, tval);
  let status = core.word(W.mstatus);
  status = (status & ~(Mstatus.spie | Mstatus.spp)) | ((status & Mstatus.sie) !== 0 ? Mstatus.spie : 0);
  if (core.mode === Mode.S) status |= Mstatus.spp;
  core.setWord(W.mstatus, status & ~Mstatus.sie);
  core.mode = Mode.S;
  goToVector(core, W.stvec, cause, interrupt);
}

export function enterMachine(core: HartCore, cause: number, tval: bigint, interrupt: boolean): void {
  setCause(core, W.mcause, cause, interrupt);
  core.copy(W.mepc, W.pc);
  core.set(F.mtval, tval);
  let status = core.word(W.mstatus);
  status = (status & ~(Mstatus.mpie | Mstatus.mpp)) | ((status & Mstatus.mie) !== 0 ? Mstatus.mpie : 0);
  status |= core.mode << mppShift;
  core.setWord(W.mstatus, status & ~Mstatus.mie);
  core.mode = Mode.M;
  goToVector(core, W.mtvec, cause, interrupt);
}

export function leaveSupervisor(core: HartCore): void {
  let status = core.word(W.mstatus);
  core.mode = (status & Mstatus.spp) !== 0 ? Mode.S : Mode.U;
  status = (status & ~Mstatus.sie) | ((status & Mstatus.spie) !== 0 ? Mstatus.sie : 0);
  // Below M-mode now, so MPRV ends (§3.1.6.3).
  core.setWord(W.mstatus, (status | Mstatus.spie) & ~(Mstatus.spp | Mstatus.mprv));
  core.copy(W.pc, W.sepc);
}

/** `least` is the least privileged mode that the hart has: MPP afterwards. */
export function leaveMachine(core: HartCore, least: Mode): void {
  let status = core.word(W.mstatus);
  core.mode = ((status & Mstatus.mpp) >>> mppShift) as Mode;
  status = (status & ~Mstatus.mie) | ((status & Mstatus.mpie) !== 0 ? Mstatus.mie : 0);
  status = ((status | Mstatus.mpie) & ~Mstatus.mpp) | (least << mppShift);
  if (core.mode !== Mode.M) status &= ~Mstatus.mprv;
  core.setWord(W.mstatus, status);
  core.copy(W.pc, W.mepc);
}
