export * from "./autodomains.ts";
export * from "./blockers.ts";
export * from "./container.ts";
export * from "./errors.ts";
export type { BlockFile, MappedRange } from "./mapped-ram.ts";
export * from "./trackers/policy.ts";
export type { DmaLog, TrackingSource } from "./trackers/source.ts";
