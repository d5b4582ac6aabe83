// Small kernels for tests: an ELF file and a Linux Image, made of their headers.

export interface TestSegment {
  readonly at: number;
  readonly bytes: readonly number[];
  readonly memoryBytes?: number;
  /** PF_X = 1, PF_W = 2, PF_R = 4; all of them when left out. */
  readonly flags?: number;
}

/** An ELF64 executable; `machine` 243 is RISC-V. */
export function testElf(entry: number, segments: readonly TestSegment[], machine = 243): Uint8Array {
  const dataAt = 64 + 56 * segments.length;
  const file = new Uint8Array(dataAt + segments.reduce((sum, s) => sum + s.bytes.length, 0));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  let at = dataAt;
  segments.forEach((segment, i) => {
    const header = 64 + 56 * i;
    view.setUint32(header, 1, true);
    view.setUint32(header + 4, segment.flags ?? 7, true);
    view.setBigUint64(header + 8, BigInt(at), true);
    view.setBigUint64(header + 16, BigInt(segment.at), true);
    view.setBigUint64(header + 24, BigInt(segment.at), true);
    view.setBigUint64(header + 32, BigInt(segment.bytes.length), true);
    view.setBigUint64(header + 40, BigInt(segment.memoryBytes ?? segment.bytes.length), true);
    file.set(segment.bytes, at);
    at += segment.bytes.length;
  });
  return file;
}

/** A riscv Image whose header says that it occupies `imageBytes`. */
export function testImage(fileBytes: number, imageBytes: number = fileBytes): Uint8Array {
  const file = new Uint8Array(fileBytes);
  const view = new DataView(file.buffer);
  view.setBigUint64(8, 0x20_0000n, true);
  view.setBigUint64(16, BigInt(imageBytes), true);
  file.set([0x52, 0x49, 0x53, 0x43, 0x56], 48);
  file.set([0x52, 0x53, 0x43, 0x05], 56);
  return file;
}

/** `image` as an EFI stub: a PE header at 64 with one section whose bytes end at `endOfSection`. */
export function asEfiStub(image: Uint8Array, endOfSection: number): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset);
  image.set([0x4d, 0x5a]);
  view.setUint32(60, 64, true);
  view.setUint32(64, 0x4550, true);
  view.setUint16(70, 1, true);
  const section = 64 + 24;
  view.setUint32(section + 16, endOfSection - 256, true);
  view.setUint32(section + 20, 256, true);
  return image;
}
