// What can be wrong with an option, a property or an object path. Front ends print `subject: message`.
import { VmError } from "../base/index.ts";

export type OptionErrorCode =
  /** No such command-line option, property, parameter, type or object. */
  | "unknownOption"
  | "unknownParameter"
  | "unknownProperty"
  | "unknownType"
  | "unknownObject"
  /** The text does not follow the grammar. */
  | "badSyntax"
  /** The grammar is followed, the value does not fit the type. */
  | "badValue"
  | "missingArgument"
  | "missingParameter"
  | "duplicate"
  | "readOnly"
  /** Known, and refused with a reason. */
  | "unsupported";

/**
 * An option or property that cannot be taken. `subject` is the option as it was given (`-device foo,bar=1`), so that a
 * front end prints `program: subject: message`, as QEMU does.
 */
export class OptionError extends VmError<OptionErrorCode> {
  override readonly room = "object";
}

/** `{ subject }` when there is one: exactOptionalPropertyTypes does not take an undefined. */
export function about(subject: string | undefined): { readonly subject?: string } {
  return subject === undefined ? {} : { subject };
}
