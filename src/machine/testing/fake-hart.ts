// A hart for tests: registers that hold what is written, and a script in place of guest code.
import type { Accelerator, VcpuExit } from "../../accel/port.ts";
import { describeState, type StateDescription } from "../../state/index.ts";
import type { Hart, HartIrq, PrivilegeMode, Watch, WatchHit } from "../../target/riscv/port.ts";

export interface FakeHartOptions {
  readonly extensions?: readonly string[];
  /** What one `run` does; the whole budget counts as executed. Default: wait. */
  readonly run?: (hart: FakeHart, budget: number) => VcpuExit;
}

export class FakeHart implements Hart {
  get accelerator(): Accelerator {
    throw new Error("Nothing executes the code of a fake hart");
  }

  readonly id: number;
  readonly index: number;
  readonly isa: Hart["isa"];
  readonly stateDescription: StateDescription = describeState("fake-hart", 1, []);
  readonly csrs: Map<number, bigint> = new Map();
  readonly irqs: Set<HartIrq> = new Set();
  /** Calls that leave no other trace, in order: `flushTlb 0x1000 4096`, `kick`, … */
  readonly calls: string[] = [];
  /** Answers of `readVirtual`, by address. */
  readonly virtual: Map<bigint, bigint> = new Map();
  pc = 0n;
  mode: PrivilegeMode = "M";
  started = true;
  waiting = false;
  watchHit: WatchHit | undefined;
  executed = 0;
  readonly #x: bigint[] = Array.from({ length: 32 }, () => 0n);
  readonly #run: (hart: FakeHart, budget: number) => VcpuExit;

  constructor(id: number, options: FakeHartOptions = {}) {
    this.id = id;
    this.index = id;
    this.isa = { base: "rv64i", extensions: options.extensions ?? ["i", "sstc"], mmuType: "riscv,sv57" };
    this.#run = options.run ?? (() => "wait");
  }

  get runnable(): boolean {
    return this.started && !this.waiting;
  }

  run(budget: number): VcpuExit {
    this.executed += budget;
    return this.#run(this, budget);
  }

  kick(): void {
    this.calls.push("kick");
  }

  reset(): void {
    this.calls.push("reset");
    this.mode = "M";
    this.pc = 0x1000n;
  }

  watch(watch: Watch): void {
    this.calls.push(`watch ${watch.kind}`);
  }

  unwatch(watch: Watch): void {
    this.calls.push(`unwatch ${watch.kind}`);
  }

  setIrq(irq: HartIrq, level: boolean): void {
    if (level) this.irqs.add(irq);
    else this.irqs.delete(irq);
  }

  x(n: number): bigint {
    return this.#x[n]!;
  }

  setX(n: number, value: bigint): void {
    if (n !== 0) this.#x[n] = value;
  }

  readCsr(csr: number): bigint | undefined {
    return this.csrs.get(csr);
  }

  writeCsr(csr: number, value: bigint): void {
    this.csrs.set(csr, value);
  }

  trapToSupervisor(cause: bigint, tval: bigint): void {
    this.calls.push(`trapToSupervisor ${cause} 0x${tval.toString(16)}`);
  }

  flushTlb(startVa?: bigint, lengthBytes?: bigint, asid?: number): void {
    const range = startVa === undefined ? "all" : `0x${startVa.toString(16)} ${String(lengthBytes)}`;
    this.calls.push(`flushTlb ${range}${asid === undefined ? "" : ` asid ${asid}`}`);
  }

  flushCode(): void {
    this.calls.push("flushCode");
  }

  dropReservation(): void {
    this.calls.push("dropReservation");
  }

  waitForInterrupt(): void {
    this.waiting = true;
  }

  readVirtual(va: bigint): bigint | undefined {
    return this.virtual.get(va);
  }

  saveState(): Record<string, unknown> {
    return {};
  }

  loadState(): void {}
}
