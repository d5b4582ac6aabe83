import { VmError } from "../base/index.ts";

/** What an operator can cause with an assigned device. `cause` is the call that the host refused, where one did. */
export class VfioError extends VmError<
  /** The host does not hand the device out. */
  | "cannotOpen"
  /** The host has no such device, or this machine no use for its kind. */
  | "unknownDevice"
  /** A saved state is of another device. */
  | "otherDevice"
  /** No page table takes the device, or the IOAS does not. */
  | "cannotAttach"
  /** Guest memory cannot be mapped for the device. */
  | "cannotMap"
  /** It is to migrate and cannot. */
  | "cannotMigrate"
  /** A source of dirty pages refused to start. */
  | "cannotTrack"
> {
  override readonly room = "vfio";
}
