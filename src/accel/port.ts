// The vCPU contract: what a machine asks of whatever executes guest code (interpreter, JIT, qtest, KVM).
import type { Saveable } from "../state/index.ts";

/** Why `run` came back. */
export type VcpuExit =
  /** The instruction budget is used up. */
  | "budget"
  /** Nothing to do until an interrupt (wfi). */
  | "wait"
  /** Runnable, but another vCPU should have its turn first (pause, an IPI sent). */
  | "yield"
  /** Not started, or stopped by firmware; only firmware starts it again. */
  | "stopped"
  /** `kick` was called, or a device asked the machine to stop or reset. */
  | "kicked"
  /** A debugger wanted it to stop before the instruction at the pc. */
  | "watch";

/** How guest code is executed. */
export interface AcceleratorConfig {
  /** `jit` compiles hot code into regions and interprets the rest. */
  readonly tier: "interpreter" | "jit";
  /** Most bytes of WebAssembly that the compiler keeps. */
  readonly codeLimitBytes: number;
}

export const defaultAccelerator: AcceleratorConfig = { tier: "interpreter", codeLimitBytes: 32 << 20 };

export interface Vcpu extends Saveable {
  readonly index: number;
  /** Executes at most `budget` instructions; exact: fewer only with another exit reason. */
  run(budget: number): VcpuExit;
  /** Makes a running or the next `run` return soon; from inside a run, by a store or a helper, before the next instruction. */
  kick(): void;
  /** True when `run` would execute something: started, and not waiting or an interrupt is pending. */
  readonly runnable: boolean;
  /**
   * Instructions executed since power-on. Exact inside a run too, whenever something is called by it: the instruction
   * that called counts already. Guest time can be made of it.
   */
  readonly executed: number;
  reset(): void;
}
