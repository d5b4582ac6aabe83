// What can be wrong with a disk: at configuration, or when it is read and written.
import { VmError } from "../base/index.ts";

export type BlockErrorCode =
  /** A write to a node that is read-only. */
  | "readOnly"
  /** A range that does not lie inside the node. */
  | "outOfRange"
  /** A node that was closed. */
  | "closed"
  /** The host could not do it; `cause` is its error. */
  | "ioError"
  /** A node or a range of a file that cannot be. */
  | "badSize"
  | "duplicateNode"
  | "noSuchNode"
  /** Another device or node has it. */
  | "inUse";

/** `subject` is the node's name. */
export class BlockError extends VmError<BlockErrorCode> {
  override readonly room = "block";
}
