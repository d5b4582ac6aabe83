// Guest time that is made of executed instructions (`-icount`): 2^shift nanoseconds each, of all harts together, and
// what the machine goes forward while every hart waits.
import { assert } from "../base/index.ts";
import type { Vcpu } from "../accel/port.ts";
import type { GuestClock } from "./pace.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** QEMU's limit (`MAX_ICOUNT_SHIFT`): about a microsecond for each instruction. */
export const MAX_ICOUNT_SHIFT = 10;

/** Nanoseconds of guest time, exact at each instruction, also while a hart runs. */
export class InstructionClock implements GuestClock {
  /** Host time while the machine runs, for what has to keep up with it. */
  readonly hostElapsed: VirtualClock;
  #shift: number;
  #nsPerInstruction: number;
  /** Guest time that no instruction made. */
  #biasNs = 0;
  /** Instructions of the runs that are over. */
  #before = 0;
  #running: Vcpu | undefined;
  /** What the running hart had executed when it began. */
  #runningBefore = 0;

  constructor(shift: number, hostElapsed: VirtualClock) {
    assert(shift >= 0 && shift <= MAX_ICOUNT_SHIFT, "a shift of the instruction count is in QEMU's range", shift);
    this.hostElapsed = hostElapsed;
    this.#shift = shift;
    this.#nsPerInstruction = 2 ** shift;
  }

  get shift(): number {
    return this.#shift;
  }

  /** Of all harts, since the machine was made. */
  get instructions(): number {
    const running = this.#running;
    return running === undefined ? this.#before : this.#before + running.executed - this.#runningBefore;
  }

  nowNs(): number {
    return this.#biasNs + this.instructions * this.#nsPerInstruction;
  }

  start(): void {
    this.hostElapsed.start();
  }

  stop(): void {
    this.hostElapsed.stop();
  }

  begin(vcpu: Vcpu): void {
    this.#running = vcpu;
    this.#runningBefore = vcpu.executed;
  }

  end(executed: number): void {
    this.#running = undefined;
    this.#before += executed;
  }

  /** No hart runs: time goes on without them. */
  forwardToNs(nowNs: number): void {
    this.#biasNs += Math.max(0, nowNs - this.nowNs());
  }

  /** How many instructions it takes to reach `deadlineNs`; at least one. */
  instructionsUntil(deadlineNs: number): number {
    return Math.max(1, Math.ceil((deadlineNs - this.nowNs()) / this.#nsPerInstruction));
  }

  /** From here on instructions take 2^shift nanoseconds; the present time stays. */
  setShift(shift: number): void {
    const nowNs = this.nowNs();
    this.#shift = shift;
    this.#nsPerInstruction = 2 ** shift;
    this.#biasNs = nowNs - this.instructions * this.#nsPerInstruction;
  }

  /** Sets the time, for saved state; the machine is stopped. */
  load(elapsedNs: number): void {
    this.#biasNs = elapsedNs - this.instructions * this.#nsPerInstruction;
  }
}
