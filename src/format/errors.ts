// What can be wrong with a file of a public format.
import { LayoutError, VmError, type Codec, type Layout } from "../base/index.ts";

/**
 * `notThisFormat`: the magic is another one. `truncated`: it ends before what it announces. `corrupt`: its parts
 * contradict each other. `unsupported`: valid, but of a kind that is not read here. `tooLarge`: past a stated bound.
 * `noDecoder`: this platform lacks what is needed to decompress it.
 */
export type FormatErrorCode = "notThisFormat" | "truncated" | "corrupt" | "unsupported" | "tooLarge" | "noDecoder";

/** A file cannot be read; the message says what was found and what would do. */
export class FormatError extends VmError<FormatErrorCode> {
  override readonly room = "format";
}

/** Decodes a structure at `offset`, or throws `truncated` naming the file's format and the structure. */
export function decodeAt<F extends Readonly<Record<string, Codec<unknown>>>>(
  structure: Layout<F>,
  source: Uint8Array,
  offset: number,
  format: string,
): ReturnType<Layout<F>["decode"]> {
  try {
    return structure.decode(source, offset);
  } catch (cause) {
    if (!(cause instanceof LayoutError)) throw cause;
    throw new FormatError("truncated", `The ${format} ends inside its ${structure.name}: ${cause.message}`, { cause });
  }
}

/** The bytes `offset … offset + lengthBytes` without copying, or `truncated`. */
export function sliceAt(
  source: Uint8Array,
  offset: number,
  lengthBytes: number,
  format: string,
  part: string,
): Uint8Array {
  if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > source.length) {
    throw new FormatError(
      "truncated",
      `The ${format} announces ${lengthBytes} bytes of ${part} at ${offset}, but has ${source.length} bytes in all`,
    );
  }
  return source.subarray(offset, offset + lengthBytes);
}
