export { predict, type ConvergenceFacts, type Prediction, type SourceRate } from "./convergence.ts";
export * from "./control.ts";
export type { DirtyRateMeter, DirtyRateRequest, DirtyRateResult } from "./dirty-rate.ts";
export * from "./errors.ts";
export type { HartLimit, HartLimits } from "./hart-limits.ts";
export * from "./incoming.ts";
export * from "./outgoing.ts";
export * from "./port.ts";
export * from "./progress.ts";
