// What can be wrong with a stream of saved state. `subject` is the section, or section.field.
import { VmError } from "../base/index.ts";

export type StateErrorCode =
  /** The bytes end early, have a length past their end, or values that their kind does not have. */
  | "malformed"
  /** Written in a form that this build does not read. */
  | "unknownFormat"
  /** Another section than the one asked for. */
  | "wrongSection"
  /** A part that this build does not know and that the stream needs. */
  | "unknownField"
  /** A part that this build needs and the stream lacks. */
  | "missingField"
  /** A part of another type than here. */
  | "kindMismatch";

export class StateError extends VmError<StateErrorCode> {
  override readonly room = "state";
}
