// The module between regions and TypeScript: stores what a slow path must find in the vCPU's block, so that each call in a
// region is short, and holds the library functions that are not inlined.
import {
  ModuleBuilder,
  type FunctionBuilder,
  type FunctionIndex,
  type FunctionType,
  type Local,
} from "../../wasm/index.ts";
import { hostStores, type LibraryFunction } from "../ir-lowering.ts";
import { HelperStatus } from "../ir.ts";
import { RegionExit } from "../region-entry.ts";
import { tlbAddendOffset, tlbIndexMask, tlbIndexShift } from "../softmmu.ts";
import type { VcpuLayout } from "../vcpu-layout.ts";

/** What regions import, in the order of the indexes of the imports. */
export interface RegionImport {
  readonly name: string;
  readonly type: FunctionType;
}

// A region says where it is by its base and its budget, and by constants: the instruction's offset from the base, and in one
// number the access's width (`packAccess`), the instruction's length, and how many instructions the budget does not know of yet.
// The vCPU comes last, where there are several.

/** The address of the vCPU's block where there is only one. */
type OnlyVcpu = number | undefined;

/** Address, base, budget, offset, access: the host address and 1, or 0 with the vCPU gone elsewhere. */
const loadParams: FunctionType["params"] = ["i64", "i64", "i32", "i32", "i32"];
/** Address, value, base, budget, offset, access: 0, or the exit to take. */
const storeParams: FunctionType["params"] = ["i64", "i64", "i64", "i32", "i32", "i32"];

function slowTypes(onlyVcpu: OnlyVcpu): { readonly load: FunctionType; readonly store: FunctionType } {
  const vcpu: FunctionType["params"] = onlyVcpu === undefined ? ["i32"] : [];
  return {
    load: { params: [...loadParams, ...vcpu], results: ["i32"] },
    store: { params: [...storeParams, ...vcpu], results: ["i32"] },
  };
}

const lengthShift = 2;
const behindShift = 6;

export function packAccess(widthBytes: number, lengthBytes: number, behind: number): number {
  return (31 - Math.clz32(widthBytes)) | (lengthBytes << lengthShift) | (behind << behindShift);
}

/** The region's number in the table: it was entered with other tables in force than it was made for. */
const misfitType: FunctionType = { params: ["i32"], results: [] };

export function regionImports(library: readonly LibraryFunction[], onlyVcpu: OnlyVcpu): readonly RegionImport[] {
  const { load, store } = slowTypes(onlyVcpu);
  return [
    { name: "load", type: load },
    { name: "store", type: store },
    { name: "misfit", type: misfitType },
    ...library.filter(({ inline }) => inline !== true),
  ];
}

/** The status of a store that undid regions: done, but the code behind it may be another. */
export const storedCode = 3;

/** Answers the functions of `regionImports`, by name. */
export function makeSlowPaths(options: {
  memory: WebAssembly.Memory;
  pages: number;
  shared: boolean;
  layout: VcpuLayout;
  library: readonly LibraryFunction[];
  onlyVcpu: OnlyVcpu;
  /** As `loadSlow` and `storeSlow` of the vCPU that runs, which may also answer `storedCode`. */
  load: (width: number) => number;
  store: (width: number) => number;
  readonly misfit: (tableIndex: number) => void;
}): WebAssembly.Instance["exports"] {
  const { layout, pages, shared, onlyVcpu } = options;
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", minimumPages: pages, maximumPages: pages, shared });
  const slow: FunctionType = { params: ["i32"], results: ["i32"] };
  const load = module.importFunction("host", "load", slow);
  const store = module.importFunction("host", "store", slow);
  const misfit = module.importFunction("host", "misfit", misfitType);
  emitLoad(module, layout, load, onlyVcpu);
  emitStore(module, layout, store, onlyVcpu);
  const { builder } = module.define(misfitType, "misfit");
  builder.get(builder.param(0));
  builder.call(misfit);
  for (const entry of options.library) {
    if (entry.inline !== true) entry.build(module.define(entry.type, entry.name).builder);
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    env: { memory: options.memory },
    host: { load: options.load, store: options.store, misfit: options.misfit },
  });
  return instance.exports;
}

interface SlowAccess {
  readonly pushVcpu: () => void;
  readonly address: Local;
  readonly base: Local;
  readonly budget: Local;
  readonly offset: Local;
  readonly access: Local;
  readonly width: Local;
}

/** The parameters of a slow path, which begin at `from` behind the address, and the access's width. */
function accessOf(f: FunctionBuilder, from: number, onlyVcpu: OnlyVcpu): SlowAccess {
  const [base, budget, offset, access] = [0, 1, 2, 3].map((i) => f.param(from + i)) as [Local, Local, Local, Local];
  const width = f.local("i32");
  f.i32(1);
  f.get(access);
  f.i32((1 << lengthShift) - 1);
  f.op("i32.and");
  f.op("i32.shl");
  f.set(width);
  const pushVcpu = (): void => (onlyVcpu === undefined ? f.get(f.param(from + 4)) : f.i32(onlyVcpu));
  return { pushVcpu, address: f.param(0), base, budget, offset, access, width };
}

function pushPc(f: FunctionBuilder, { base, offset }: SlowAccess): void {
  f.get(base);
  f.get(offset);
  f.op("i64.extend_i32_s");
  f.op("i64.add");
}

/** `found` with the host address of an access that the TLB table in a field has. */
function emitProbe(
  f: FunctionBuilder,
  tableField: number,
  { pushVcpu, address, width }: SlowAccess,
  found: (pushHost: () => void) => void,
): void {
  const entry = f.local("i32");
  pushVcpu();
  f.memory("i32.load", tableField);
  f.get(address);
  f.i64(BigInt(tlbIndexShift));
  f.op("i64.shr_u");
  f.op("i32.wrap_i64");
  f.i32(tlbIndexMask);
  f.op("i32.and");
  f.op("i32.add");
  f.tee(entry);
  f.memory("i64.load");
  f.get(address);
  f.get(width);
  f.i32(1);
  f.op("i32.sub");
  f.op("i64.extend_i32_u");
  f.i64(~0xfffn);
  f.op("i64.or");
  f.op("i64.and");
  f.op("i64.eq");
  f.if();
  found(() => {
    f.get(address);
    f.op("i32.wrap_i64");
    f.get(entry);
    f.memory("i32.load", tlbAddendOffset);
    f.op("i32.add");
  });
  f.end();
}

/** Calls TypeScript with everything it may want to know in the vCPU's block, and leaves its answer. */
function callHost(f: FunctionBuilder, layout: VcpuLayout, host: FunctionIndex, slow: SlowAccess): void {
  const { pushVcpu, address, budget, access, width } = slow;
  pushVcpu();
  f.get(address);
  f.memory("i64.store", layout.offset("memVa"));
  pushVcpu();
  pushPc(f, slow);
  f.memory("i64.store", layout.offset("pc"));
  pushVcpu();
  f.get(budget);
  f.get(access);
  f.i32(behindShift);
  f.op("i32.shr_u");
  f.op("i32.sub");
  f.memory("i32.store", layout.offset("budget"));
  f.get(width);
  f.call(host);
}

function emitLoad(module: ModuleBuilder, layout: VcpuLayout, host: FunctionIndex, onlyVcpu: OnlyVcpu): void {
  const { builder: f } = module.define(slowTypes(onlyVcpu).load, "load");
  const slow = accessOf(f, 1, onlyVcpu);
  // Members of a group whose look-up failed come here first.
  emitProbe(f, layout.offset("tlbLoad"), slow, (pushHost) => {
    pushHost();
    f.i32(1);
    f.op("i32.add");
    f.return();
  });
  const found = f.local("i32");
  callHost(f, layout, host, slow);
  f.tee(found);
  f.get(found);
  f.i32(0);
  f.op("i32.ne");
  f.op("i32.add");
}

function emitStore(module: ModuleBuilder, layout: VcpuLayout, host: FunctionIndex, onlyVcpu: OnlyVcpu): void {
  const { builder: f } = module.define(slowTypes(onlyVcpu).store, "store");
  const slow = accessOf(f, 2, onlyVcpu);
  const { pushVcpu, access, width } = slow;
  const value = f.param(1);
  const status = f.local("i32");
  emitProbe(f, layout.offset("tlbStore"), slow, (pushHost) => {
    for (const bytes of [1, 2, 4, 8] as const) {
      f.get(width);
      f.i32(bytes);
      f.op("i32.eq");
      f.if();
      pushHost();
      f.get(value);
      f.memory(hostStores[bytes]);
      f.end();
    }
    f.i32(0);
    f.return();
  });
  pushVcpu();
  f.get(value);
  f.memory("i64.store", layout.offset("memValue"));
  callHost(f, layout, host, slow);
  f.tee(status);
  f.op("i32.eqz");
  f.if(undefined, "likely");
  f.i32(0);
  f.return();
  f.end();
  f.get(status);
  f.i32(HelperStatus.goto);
  f.op("i32.eq");
  f.if();
  f.i32(RegionExit.again);
  f.return();
  f.end();
  // The store is done: on behind the instruction.
  pushVcpu();
  pushPc(f, slow);
  f.get(access);
  f.i32(lengthShift);
  f.op("i32.shr_u");
  f.i32((1 << (behindShift - lengthShift)) - 1);
  f.op("i32.and");
  f.op("i64.extend_i32_u");
  f.op("i64.add");
  f.memory("i64.store", layout.offset("pc"));
  f.i32(RegionExit.leave);
  f.i32(RegionExit.again);
  f.get(status);
  f.i32(HelperStatus.leave);
  f.op("i32.eq");
  f.select();
}
