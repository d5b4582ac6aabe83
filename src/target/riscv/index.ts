export { Cause } from "./causes.ts";
export { cpuFeatureNames, cpuFeatures, CpuError, cpuModels, type CpuFeatures, type CpuModel } from "./cpu-models.ts";
export { Decoder } from "./decoder.ts";
export { disassemble } from "./disassembler.ts";
export { planHarts, type HartSurroundings, type PlannedHarts } from "./harts.ts";
export type { RiscvHart } from "./hart.ts";
export * from "./port.ts";
