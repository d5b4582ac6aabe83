// What an operator or a saved state can get wrong about a virtio device.
import { VmError } from "../../base/index.ts";

export type VirtioErrorCode =
  /** The saved state was not made by a device like this one. */
  | "badState"
  /** The properties contradict each other or the back end. */
  | "badConfig"
  /** The slot or the port number is taken. */
  | "inUse";

export class VirtioError extends VmError<VirtioErrorCode> {
  override readonly room = "device";
}
