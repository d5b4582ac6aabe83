// Unix `ar` archives with short names, which is what a Debian package is (deb(5)); reading only.
import { FormatError, sliceAt } from "./errors.ts";
import { decodeText, hasMagic } from "./text.ts";

const MAGIC = "!<arch>\n";
const HEADER_BYTES = 60;

export interface ArMember {
  readonly name: string;
  /** A view of the archive. */
  readonly content: Uint8Array;
}

/** The members in order. Throws `FormatError`. */
export function readAr(archive: Uint8Array): ArMember[] {
  if (!hasMagic(archive, 0, MAGIC)) throw new FormatError("notThisFormat", 'The file does not begin with "!<arch>"');
  const members: ArMember[] = [];
  let at = MAGIC.length;
  while (at < archive.length) {
    const header = sliceAt(archive, at, HEADER_BYTES, "ar archive", "member header");
    if (!hasMagic(header, 58, "`\n")) throw new FormatError("corrupt", `The ar archive has no member header at ${at}`);
    // Columns: name 16, mtime 12, uid 6, gid 6, mode 8, size 10; GNU ar ends a name with a slash.
    const name = decodeText(header.subarray(0, 16)).trimEnd().replace(/\/$/, "");
    const sizeText = decodeText(header.subarray(48, 58)).trimEnd();
    if (!/^\d+$/.test(sizeText)) {
      throw new FormatError("corrupt", `The ar archive's member "${name}" has a size of "${sizeText}"`);
    }
    const lengthBytes = Number(sizeText);
    at += HEADER_BYTES;
    members.push({ name, content: sliceAt(archive, at, lengthBytes, "ar archive", `member "${name}"`) });
    at += lengthBytes + (lengthBytes % 2);
  }
  return members;
}
