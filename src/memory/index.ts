export * from "./port.ts";
export * from "./errors.ts";
export { PAGE_BYTES, PAGE_SHIFT, PageSet } from "./page-set.ts";
export * from "./world.ts";
export { anonymousRam } from "./ram.ts";
export { type Collector, DirtyNotes, MAX_EPOCHS } from "./dirty-notes.ts";
export type { DirtyEpoch, DirtyRound } from "./dirty-epoch.ts";
export { DirtyOracle, type MissedPage, type OracleCounts } from "./dirty-oracle.ts";
export { inlineTracker } from "./dirty-tracker.ts";
export { dirtyTrackerContract, type TrackerClaim, type TrackerUnderTest } from "./dirty-tracker.contract.ts";
export { memoryTransaction } from "./transaction.ts";
export {
  type AliasOptions,
  aliasRegion,
  containerRegion,
  type MemoryRegion,
  mmioRegion,
  type Placement,
  portRegion,
  ramRegion,
  type RegionContent,
} from "./region.ts";
export type { MemoryListener, MemorySection } from "./flat-view.ts";
export { AddressSpace } from "./address-space.ts";
export { dmaPort } from "./dma-port.ts";
export { MmioPort } from "./mmio-port.ts";
export { ramBackendContract, type RamBackendClaim, type RamBackendUnderTest } from "./ram-backend.contract.ts";
