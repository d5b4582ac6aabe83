import { VmError } from "../base/index.ts";

/** What an operator can cause with an assigned device. `cause` is the call that the host refused, where one did. */
export class VfioError extends VmError<
  /** No page table takes the device, or the IOAS does not. */
  | "cannotAttach"
  /** Guest memory cannot be mapped for the device. */
  | "cannotMap"
  /** A source of dirty pages refused to start. */
  | "cannotTrack"
> {
  override readonly room = "vfio";
}
