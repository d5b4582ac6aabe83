export {
  CodeCache,
  codePageBytes,
  entryBytes,
  entryOffset,
  entryScale,
  Handler,
  type CodeCacheFigures,
} from "./code-cache.ts";
export {
  buildInterpreter,
  fetchTrapped,
  type Handlers,
  type HandlerTable,
  type InterpreterHost,
  type InterpreterInstance,
  type InterpreterModule,
  type InterpreterTarget,
  type Misses,
} from "./interpreter/interpreter.ts";
export type { RegionEntries } from "./interpreter/region-calls.ts";
export type { LibraryFunction } from "./ir-lowering.ts";
export * from "./ir.ts";
export { Jit, type JitTarget } from "./jit/jit.ts";
export {
  defaultAccelerator,
  type Accelerator,
  type AcceleratorConfig,
  type AcceleratorFigures,
  type Vcpu,
  type VcpuExit,
} from "./port.ts";
export { mostBudget } from "./region-entry.ts";
export { SoftMmu, softMmuBytes, TlbKind, tlbEntryCount, tlbTableBytes } from "./softmmu.ts";
export { commonFields, VcpuLayout, type LayoutField } from "./vcpu-layout.ts";
