import { VmError } from "../base/index.ts";

/** What an operator or a host can get wrong about memory. */
export type MemoryErrorCode =
  /** More guest RAM than one 32-bit WebAssembly memory can hold. */
  | "tooMuchRam"
  /** A block length that is not a positive multiple of 4096. */
  | "badLength"
  /** RAM and the machine's own structures do not fit together. */
  | "worldFull"
  /** The platform refused to give the memory. */
  | "hostRefused"
  /** All dirty epochs are in use. */
  | "tooManyEpochs";

export class MemoryError extends VmError<MemoryErrorCode> {
  override readonly room = "memory";
}
