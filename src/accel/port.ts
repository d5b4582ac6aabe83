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

export type Tier = "interpreter" | "jit";

/** How guest code is executed. */
export interface AcceleratorConfig {
  /** `jit` compiles hot code into regions and interprets the rest. */
  readonly tier: Tier;
  /** About as much memory as decoded and compiled code may take together. */
  readonly cacheBytes: number;
  /** Compiles whatever runs a second time, at once and however short: slow, so that tests meet compiled code everywhere. */
  readonly eager?: boolean;
  /** How often code is jumped to before it is compiled, where not as often as usual; at most that. */
  readonly hotJumps?: number;
}

/** What `-accel tcg` stands for too. */
export const defaultAccelerator: AcceleratorConfig = { tier: "jit", cacheBytes: 128 << 20 };

/** What monitors show (`info jit`). */
export interface AcceleratorFigures {
  readonly tier: Tier;
  /** Pages of guest code that are decoded, of so many at most; how often one was given up, or written to. */
  readonly decodedPages: number;
  readonly decodedPageLimit: number;
  readonly evictions: number;
  readonly invalidations: number;
  /** Regions that can be entered now, the modules they are in, and those modules' WebAssembly code, of so much at most. */
  readonly regions: number;
  readonly modules: number;
  readonly codeBytes: number;
  readonly codeLimitBytes: number;
  /** Since the machine was made: regions, their instructions, and the modules they were compiled in. */
  readonly compiledRegions: number;
  readonly compiledInstructions: number;
  readonly batches: number;
  /** Modules that the engine had no memory for. */
  readonly failedModules: number;
  /** Regions given up because their code was written, their page evicted, or room was needed. */
  readonly dropped: number;
  /** Entries from the interpreter, and instructions executed in regions: of those of all vCPUs, the rest was interpreted. */
  readonly regionCalls: number;
  readonly regionInstructions: number;
  /** Accesses in regions that missed the TLB, or went to devices. */
  readonly slowLoads: number;
  readonly slowStores: number;
  /** Look-ups of all vCPUs, interpreted or not, that the TLB had no answer for: page not there, misaligned, or a device. */
  readonly fetchMisses: number;
  readonly loadMisses: number;
  readonly storeMisses: number;
}

/** What executes the guest code of all vCPUs of a machine. */
export interface Accelerator {
  /** May be changed while no vCPU runs; the guest cannot tell. */
  tier: Tier;
  readonly figures: AcceleratorFigures;
}

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
