// The counters of a hart (privileged spec §3.1.10, §3.1.11): as many programmable ones as QEMU's harts have.

/** Programmable counters 3 to 18; beyond them, counters and their events are read-only zero. */
export const firstProgrammable = 3;
export const counterCount = 19;

/** Numbers of events, as in QEMU's device tree for the SBI's PMU extension; another one counts nothing. */
export const CounterEvent = { cycles: 1n, instructions: 2n } as const;

const INSTRET = 2;
const mask64 = (1n << 64n) - 1n;

/** Cycles and instructions are the same here, so that a counter either follows the instruction count or stands still. */
export class Counters {
  /** By number: the distance to the instruction count while it counts, the value itself while it does not. */
  readonly bases: bigint[] = Array.from({ length: counterCount }, () => 0n);
  readonly events: bigint[] = Array.from({ length: counterCount }, () => 0n);
  /** mcountinhibit. */
  inhibit = 0n;
  /** The counters whose event is retirement. */
  private retirements: number[] = [INSTRET];

  /** Everything as if nothing had been executed before. */
  reset(executed: number): void {
    this.bases.fill(0n);
    this.events.fill(0n);
    this.retirements = [INSTRET];
    this.inhibit = 0n;
    this.bases[0] = -BigInt(executed) & mask64;
    this.bases[2] = this.bases[0];
  }

  private counts(index: number): boolean {
    if (this.inhibit !== 0n && (this.inhibit >> BigInt(index)) & 1n) return false;
    if (index < firstProgrammable) return true;
    const event = this.events[index];
    return event === CounterEvent.cycles || event === CounterEvent.instructions;
  }

  read(index: number, executed: number): bigint {
    const base = this.bases[index] ?? 0n;
    return this.counts(index) ? (base + BigInt(executed)) & mask64 : base;
  }

  write(index: number, executed: number, value: bigint): void {
    this.bases[index] = this.counts(index) ? (value - BigInt(executed)) & mask64 : value;
  }

  setEvent(index: number, event: bigint): void {
    this.events[index] = event;
    this.retirements = this.events.flatMap((each, i) => (each === CounterEvent.instructions ? [i] : []));
    this.retirements.push(INSTRET);
  }

  /** The running instruction is counted, but one that traps does not retire (§3.3.1). */
  doNotRetire(): void {
    for (const index of this.retirements) {
      if (this.counts(index)) this.bases[index] = (this.bases[index]! - 1n) & mask64;
    }
  }
}
