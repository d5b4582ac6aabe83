// What an operator can get wrong about a machine.
import { VmError } from "../base/index.ts";

/**
 * `badConfig`: an option's value cannot be had on this board. `unknownBoard`, `unknownDevice`, `unknownProperty`,
 * `unknownBackend`: a name that nothing here has. `tooManyDevices`: every slot is taken. `badImage`: a kernel, initrd,
 * firmware or device tree that cannot be used. `doesNotFit`: an image that does not fit into RAM, or on top of another.
 * `nothingToStart`: no firmware and no kernel. `badState`: saved state of another machine. `badTransition`: the run state
 * does not allow it.
 */
export type MachineErrorCode =
  | "badConfig"
  | "unknownBoard"
  | "unknownDevice"
  | "unknownProperty"
  | "unknownBackend"
  | "tooManyDevices"
  | "badImage"
  | "doesNotFit"
  | "nothingToStart"
  | "badState"
  | "badTransition";

export class MachineError extends VmError<MachineErrorCode> {
  override readonly room = "machine";
}
