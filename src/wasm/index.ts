export { ByteWriter } from "./byte-writer.ts";
export { probeFeatures, type WasmFeatures } from "./features.ts";
export {
  FunctionBuilder,
  type BranchHint,
  type FunctionIndex,
  type FunctionType,
  type Label,
  type Local,
  type TypeIndex,
} from "./function-builder.ts";
export { ModuleBuilder, type ImportedMemory, type ImportedTable } from "./module-builder.ts";
export {
  control,
  memoryOps,
  numericOps,
  resultType,
  valueTypeCode,
  type MemoryOp,
  type NumericOp,
  type ValueType,
  type VectorOp,
} from "./opcodes.ts";
