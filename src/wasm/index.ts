export { ByteWriter } from "./byte-writer.ts";
export { probeFeatures, type WasmFeatures } from "./features.ts";
export {
  FunctionBuilder,
  type BranchHint,
  type FunctionIndex,
  type FunctionType,
  type Label,
  type Local,
} from "./function-builder.ts";
export { ModuleBuilder, type ImportedMemory } from "./module-builder.ts";
export {
  memoryOps,
  numericOps,
  resultType,
  type MemoryOp,
  type NumericOp,
  type ValueType,
  type VectorOp,
} from "./opcodes.ts";
