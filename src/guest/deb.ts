// A Debian package file: an ar archive of "debian-binary", a control tar and a data tar (deb(5)).
import { type ArchiveEntry, type DecompressPort, FormatError, readAr, readTar } from "../format/index.ts";

/** The largest data tar that is unpacked, in bytes; a kernel's is a seventh of it. */
const MAX_DATA_BYTES = 1024 * 1024 * 1024;

/** The files of a package. `progress` is told how much of the compressed data is used up. */
export async function unpackDeb(
  file: Uint8Array,
  decompress: DecompressPort,
  progress?: (consumedBytes: number, totalBytes: number) => void,
): Promise<ArchiveEntry[]> {
  const members = readAr(file);
  if (members[0]?.name !== "debian-binary") {
    throw new FormatError("notThisFormat", 'The archive is no Debian package: its first member is not "debian-binary"');
  }
  const data = members.find(({ name }) => name.startsWith("data.tar"));
  if (data === undefined) throw new FormatError("corrupt", "The Debian package has no data archive");
  const options = {
    maxBytes: MAX_DATA_BYTES,
    progress: (consumedBytes: number): void => progress?.(consumedBytes, data.content.length),
  };
  const unpack: Record<string, () => Promise<Uint8Array>> = {
    "data.tar": () => Promise.resolve(data.content),
    "data.tar.gz": () => decompress.gunzip(data.content, options),
    "data.tar.xz": () => decompress.unxz(data.content, options),
    "data.tar.zst": () => decompress.unzstd(data.content, options),
  };
  const chosen = unpack[data.name];
  if (chosen === undefined) {
    throw new FormatError(
      "unsupported",
      `The Debian package's data is "${data.name}"; .gz, .xz and .zst are understood`,
    );
  }
  return [...readTar(await chosen())];
}
