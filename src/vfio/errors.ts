import { VmError, type VmErrorOptions } from "../base/index.ts";
import type { Reason } from "./explain.ts";

export type VfioErrorCode =
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
  | "cannotTrack";

/** What an operator can cause with an assigned device. `cause` is the call that the host refused, where one did. */
export class VfioError extends VmError<VfioErrorCode> {
  override readonly room = "vfio";
  /** What stands in the way, as `explain` has it; empty where no call was refused. */
  readonly reasons: readonly Reason[];

  constructor(
    code: VfioErrorCode,
    message: string,
    options: VmErrorOptions & { readonly reasons?: readonly Reason[] } = {},
  ) {
    super(code, message, options);
    this.reasons = options.reasons ?? [];
  }
}
