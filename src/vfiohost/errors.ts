import { VmError } from "../base/index.ts";

export type VfioHostErrorCode =
  | "unknownKind"
  | "badName"
  | "duplicateName"
  | "badPlacement"
  | "badAbility"
  | "noDisk"
  | "noSerial";

/** A device of a host description cannot be made as it is described. */
export class VfioHostError extends VmError<VfioHostErrorCode> {
  override readonly room = "vfiohost";
}
