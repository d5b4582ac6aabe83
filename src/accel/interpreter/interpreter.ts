// The generated interpreter: one WebAssembly function that runs decoded entries through a `br_table`, with a handler for
// each instruction derived from its IR. Jumps inside a page move the entry pointer; others look up the fetch TLB inline.
import { assert } from "../../base/index.ts";
import {
  ModuleBuilder,
  type FunctionBuilder,
  type FunctionIndex,
  type FunctionType,
  type Label,
} from "../../wasm/index.ts";
import { entryOffset, Handler } from "../code-cache.ts";
import type { LibraryFunction } from "../ir-lowering.ts";
import { endsBlock, hasBranch, type InstructionSemantics } from "../ir.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";
import { Lowering, type Frame, type Reach } from "./lowering.ts";
import { importRegions, RegionCalls, type ImportedRegions, type RegionEntries } from "./region-calls.ts";

export interface InterpreterTarget {
  readonly layout: VcpuLayout;
  readonly instructions: readonly InstructionSemantics[];
  readonly library: readonly LibraryFunction[];
  /** Names of the helpers that the IR calls. */
  readonly helpers: readonly string[];
}

export interface Misses {
  fetches: number;
  loads: number;
  /** Of atomic operations too. */
  stores: number;
}

/**
 * What the generated code asks of TypeScript, per vCPU. Each is called with pc stored; addresses and values of accesses
 * are in the fields `memVa` and `memValue`.
 */
export interface InterpreterHost {
  /** How often there was no answer in the TLB: page not there, access misaligned, or a device's. */
  readonly misses: Misses;
  /**
   * Nothing in the fetch TLB for the pc field: fills it (0: look again), traps (`fetchTrapped`), or answers the address of
   * a step entry.
   */
  fetchMiss(): number;
  /** Decodes into the entry at `entry`, and those after it as it likes. */
  decode(entry: number): void;
  /** Decodes the 4-byte instruction `word` into the entry at `entry`, for any place. */
  decodeWord(word: number, entry: number): void;
  /** Decodes the one instruction at the pc field into a step entry: its address, or 0 after a trap. */
  step(): number;
  /** Host address of the value loaded from `memVa`; 0 after a trap. */
  loadSlow(width: number): number;
  /** Stores `memValue` at `memVa`: a `HelperStatus`. */
  storeSlow(width: number): number;
  /** Host address for an atomic access to `memVa`; 0 after a trap. `forStore` is 0 or 1. */
  atomicSlow(width: number, forStore: number): number;
}

export interface InterpreterInstance {
  /** Runs from the pc field for at most `budget` instructions and answers the budget left. */
  run(budget: number): number;
}

/** The handlers of an instruction of one length: one for all reaches when it holds no branch. */
export type Handlers = Readonly<Record<Reach, number>> & {
  /** It may go on elsewhere than behind itself. */
  readonly endsBlock: boolean;
};

/** Which handler stands for an instruction: by name, encoded length, and where its branch leads. */
export interface HandlerTable {
  has(name: string, lengthBytes: number): boolean;
  lookup(name: string, lengthBytes: number): Handlers;
  /** What each handler from `Handler.first` on stands for. */
  readonly variants: readonly HandlerVariant[];
}

export interface InterpreterModule {
  readonly handlers: HandlerTable;
  /** Generates and compiles the code for one vCPU: its address is a constant there. */
  instantiate(options: {
    memory: WebAssembly.Memory;
    /** Address of the vCPU's block. */
    vcpu: number;
    host: InterpreterHost;
    helpers: Readonly<Record<string, (arg: number) => number>>;
    /** Without them, nothing is counted. */
    regions?: RegionEntries;
  }): InterpreterInstance;
}

/** `fetchMiss` took a trap: the pc field is its handler's. */
export const fetchTrapped = -1;

/** What generated code calls; the rest is for the region compiler. */
type HostFunction = keyof Omit<InterpreterHost, "decodeWord" | "misses">;
const hostTypes: Readonly<Record<HostFunction, FunctionType>> = {
  fetchMiss: { params: [], results: ["i32"] },
  decode: { params: ["i32"], results: [] },
  step: { params: [], results: ["i32"] },
  loadSlow: { params: ["i32"], results: ["i32"] },
  storeSlow: { params: ["i32"], results: ["i32"] },
  atomicSlow: { params: ["i32", "i32"], results: ["i32"] },
};

export interface HandlerVariant {
  readonly instruction: InstructionSemantics;
  readonly lengthBytes: number;
  readonly reach: Reach;
}

export function buildInterpreter(
  target: InterpreterTarget,
  memory: { readonly pages: number; readonly shared: boolean },
): InterpreterModule {
  const variants: HandlerVariant[] = [];
  const numbers = new Map<string, Handlers>();
  for (const instruction of target.instructions) {
    for (const lengthBytes of instruction.lengths) {
      const add = (reach: Reach): number => Handler.first + variants.push({ instruction, lengthBytes, reach }) - 1;
      const far = add("far");
      const near = hasBranch(instruction.code);
      numbers.set(`${instruction.name}/${lengthBytes}`, {
        far,
        ahead: near ? add("ahead") : far,
        back: near ? add("back") : far,
        endsBlock: endsBlock(instruction.code),
      });
    }
  }
  return {
    handlers: {
      variants,
      has: (name, lengthBytes) => numbers.has(`${name}/${lengthBytes}`),
      lookup(name, lengthBytes) {
        const found = numbers.get(`${name}/${lengthBytes}`);
        assert(found !== undefined, "an instruction has a handler for its length", name, lengthBytes);
        return found;
      },
    },
    instantiate({ memory: bytesOfMachine, vcpu, host, helpers, regions }) {
      const bound: Record<string, (...args: number[]) => number | void> = {};
      for (const name of Object.keys(hostTypes) as HostFunction[]) {
        bound[name] = host[name].bind(host);
      }
      const module = new WebAssembly.Module(encodeModule(target, memory, variants, vcpu, regions));
      const instance = new WebAssembly.Instance(module, {
        env: { memory: bytesOfMachine },
        host: bound,
        helper: { ...helpers },
        ...(regions === undefined
          ? {}
          : { region: { table: regions.table, hot: regions.hot, followed: regions.followed } }),
      });
      return { run: instance.exports["run"] as (budget: number) => number };
    },
  };
}

function encodeModule(
  target: InterpreterTarget,
  memory: { readonly pages: number; readonly shared: boolean },
  variants: readonly HandlerVariant[],
  vcpu: number,
  regions: RegionEntries | undefined,
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory({
    module: "env",
    name: "memory",
    minimumPages: memory.pages,
    maximumPages: memory.pages,
    shared: memory.shared,
  });
  const host = {} as Record<HostFunction, FunctionIndex>;
  for (const [name, type] of Object.entries(hostTypes)) {
    host[name as HostFunction] = module.importFunction("host", name, type);
  }
  const helpers = new Map<string, FunctionIndex>();
  for (const name of target.helpers) {
    helpers.set(name, module.importFunction("helper", name, { params: ["i32"], results: ["i32"] }));
  }
  const entries = regions === undefined ? undefined : importRegions(module, regions);
  const library = new Map<string, FunctionIndex>();
  for (const entry of target.library) {
    const { builder, index } = module.define(entry.type);
    entry.build(builder);
    library.set(entry.name, index);
  }
  const { builder } = module.define({ params: ["i32"], results: ["i32"] }, "run");
  emitRun(builder, target.layout, vcpu, variants, { host, helpers, library, entries });
  return module.encode();
}

interface Callables {
  readonly host: Record<HostFunction, FunctionIndex>;
  readonly helpers: ReadonlyMap<string, FunctionIndex>;
  readonly library: ReadonlyMap<string, FunctionIndex>;
  readonly entries: ImportedRegions | undefined;
}

function emitRun(
  f: FunctionBuilder,
  layout: VcpuLayout,
  vcpu: number,
  variants: readonly HandlerVariant[],
  callables: Callables,
): void {
  const budget = f.param(0);
  const entry = f.local("i32");
  const tlbLoad = f.local("i32");
  const tlbStore = f.local("i32");
  const slot = f.local("i32");
  const bias = f.local("i64");
  const target = f.local("i64");
  const address = f.local("i64");
  const value = f.local("i64");
  const { entries } = callables;
  const labels: Label[] = [];
  const at = layout.offset.bind(layout);

  const reload = (): void => {
    f.i32(vcpu);
    f.memory("i32.load", at("tlbLoad"));
    f.set(tlbLoad);
    f.i32(vcpu);
    f.memory("i32.load", at("tlbStore"));
    f.set(tlbStore);
    f.i32(vcpu);
    f.memory("i64.load", at("pc"));
    f.set(target);
  };
  /** pc of the entry: entries grow eight times as fast as code, and `bias` is the rest. */
  const pushPc = (): void => {
    f.get(bias);
    f.get(entry);
    f.i32(3);
    f.op("i32.shr_u");
    f.op("i64.extend_i32_u");
    f.op("i64.add");
  };
  const storePc = (): void => {
    f.i32(vcpu);
    pushPc();
    f.memory("i64.store", at("pc"));
    f.i32(vcpu);
    f.get(budget);
    f.memory("i32.store", at("budget"));
  };
  /** Takes an entry for the address `target` from the stack. */
  const enter = (): void => {
    f.tee(entry);
    f.i32(3);
    f.op("i32.shr_u");
    f.op("i64.extend_i32_u");
    f.set(bias);
    f.get(target);
    f.get(bias);
    f.op("i64.sub");
    f.set(bias);
  };

  const refundBudget = (): void => {
    f.get(budget);
    f.i32(1);
    f.op("i32.add");
    f.set(budget);
  };

  /** Makes `entry` that of the address `target`, or goes where the fetch TLB does not have it. */
  const lookUp = (missed: Label): void => {
    f.i32(vcpu);
    f.memory("i32.load", at("tlbFetch"));
    f.get(target);
    f.i64(BigInt(tlbIndexShift));
    f.op("i64.shr_u");
    f.op("i32.wrap_i64");
    f.i32(tlbIndexMask);
    f.op("i32.and");
    f.op("i32.add");
    f.tee(slot);
    f.memory("i64.load");
    f.get(target);
    f.i64(~0xfffn);
    f.op("i64.and");
    f.op("i64.ne");
    f.brIf(missed, "unlikely");
    f.get(slot);
    f.memory("i32.load", tlbAddendOffset);
    f.get(target);
    f.op("i32.wrap_i64");
    f.i32(0xfff);
    f.op("i32.and");
    f.i32(3);
    f.op("i32.shl");
    f.op("i32.add");
    enter();
  };

  const regions =
    entries === undefined
      ? undefined
      : new RegionCalls(f, { layout, vcpu, budget, entry, slot, target, pushPc, refundBudget, lookUp }, entries);
  regions?.begin();
  reload();
  const leave = f.block();
  const again = f.loop(); // pc is in the field: everything else is taken anew
  reload();
  const goto = f.loop(); // to `target`
  const found = f.block();
  const missed = f.block();
  lookUp(missed);
  f.br(found);
  f.end(); // missed
  f.i32(vcpu);
  f.get(target);
  f.memory("i64.store", at("pc"));
  f.get(budget);
  f.op("i32.eqz");
  f.brIf(leave, "unlikely");
  f.call(callables.host.fetchMiss);
  f.tee(slot);
  f.op("i32.eqz");
  f.brIf(again, "likely");
  f.get(slot);
  f.i32(fetchTrapped);
  f.op("i32.eq");
  f.if();
  // A trap costs budget as an instruction does, so that a handler that cannot be fetched itself comes to an end here.
  f.get(budget);
  f.i32(1);
  f.op("i32.sub");
  f.set(budget);
  f.br(again);
  f.end();
  f.get(slot);
  enter();
  f.end(); // found

  regions?.countJump();
  // The one loop of the interpreter: each more would be checked for the end of the stack at every jump.
  const next = f.loop();
  const jumped = f.block();
  // Blocks nest inside out: the last label opened is the first handler's.
  for (let i = 0; i < Handler.first + variants.length; i++) labels.unshift(f.block());
  f.get(budget);
  f.op("i32.eqz");
  f.if(undefined, "unlikely");
  storePc();
  f.br(leave);
  f.end();
  f.get(budget);
  f.i32(1);
  f.op("i32.sub");
  f.set(budget);
  f.get(entry);
  f.memory("i32.load16_u", entryOffset.handler);
  f.brTable(labels, labels[Handler.decode]!);

  f.end(); // decode
  refundBudget();
  f.get(entry);
  f.call(callables.host.decode);
  f.br(next);
  f.end(); // refetch
  refundBudget();
  pushPc();
  f.set(target);
  f.br(goto);
  f.end(); // step
  pushPc();
  f.set(target);
  storePc();
  f.call(callables.host.step);
  f.tee(slot);
  f.op("i32.eqz");
  f.brIf(again);
  refundBudget();
  f.get(slot);
  enter();
  f.br(next);
  f.end(); // region
  if (regions === undefined) f.unreachable();
  else regions.enter({ goto, jumped, next, again, leave, instructions: labels.slice(Handler.first) });

  const frame: Frame = {
    layout,
    vcpu,
    entry,
    tlbLoad,
    tlbStore,
    slot,
    address,
    value,
    target,
    labels: { next, jumped, goto, again, leave },
    callables,
    pushPc,
    storePc,
  };
  const lowering = new Lowering(f, frame);
  for (const variant of variants) {
    f.end();
    lowering.instruction(variant.instruction, variant.lengthBytes, variant.reach);
  }
  f.end(); // jumped
  regions?.countJump();
  f.br(next);
  f.end(); // next
  f.end(); // goto
  f.end(); // again
  f.end(); // leave
  regions?.end();
  f.get(budget);
}
