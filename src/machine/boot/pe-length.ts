// How long a PE file must be: the EFI stub's header tells whether a kernel file has been cut short, which the Image
// header cannot (its length includes what the file leaves out). Microsoft PE/COFF specification, "File Headers".
import { bytes, layout, u16le, u32le } from "../../base/index.ts";

const PE_OFFSET_AT = 0x3c;
const CoffHeader = layout("COFF header", 24, {
  signature: u32le,
  machine: u16le,
  sectionCount: u16le,
  _timeStamp: u32le,
  _symbolTable: u32le,
  _symbolCount: u32le,
  optionalHeaderBytes: u16le,
  _characteristics: u16le,
});
const PE_SIGNATURE = 0x4550;
const SectionHeader = layout("section header", 40, {
  _name: bytes(8),
  _virtualSize: u32le,
  _virtualAddress: u32le,
  rawLengthBytes: u32le,
  rawOffset: u32le,
  _rest: bytes(16),
});

/** The end of the last section's bytes in the file, or undefined when the file is not a PE file. */
export function peFileLength(file: Uint8Array): number | undefined {
  if (file.length < PE_OFFSET_AT + 4 || file[0] !== 0x4d || file[1] !== 0x5a) return undefined;
  const peOffset = u32le.read(new DataView(file.buffer, file.byteOffset), PE_OFFSET_AT);
  if (peOffset + CoffHeader.lengthBytes > file.length) return undefined;
  const header = CoffHeader.decode(file, peOffset);
  if (header.signature !== PE_SIGNATURE) return undefined;
  const first = peOffset + CoffHeader.lengthBytes + header.optionalHeaderBytes;
  let end = first + header.sectionCount * SectionHeader.lengthBytes;
  // A file cut inside its section table is shorter than the table already.
  if (end > file.length) return end;
  for (let i = 0; i < header.sectionCount; i++) {
    const section = SectionHeader.decode(file, first + i * SectionHeader.lengthBytes);
    if (section.rawLengthBytes > 0) end = Math.max(end, section.rawOffset + section.rawLengthBytes);
  }
  return end;
}
