import { VmError } from "../../base/index.ts";

/** Saved state that no engine can have been in. */
export class DmaEngineError extends VmError<"badState"> {
  override readonly room = "device/dma-engine";
}
