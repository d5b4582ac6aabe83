// What an image of another format begins with: without `format=` it must not be taken as raw by mistake.

/** How much of an image `foreignFormat` looks at. */
export const SIGNATURE_BYTES = 512;

const SIGNATURES: readonly (readonly [format: string, at: number, bytes: readonly number[]])[] = [
  ["a qcow2 image", 0, [0x51, 0x46, 0x49, 0xfb]],
  ["a QED image", 0, [0x51, 0x45, 0x44, 0x00]],
  ["a VMDK image", 0, [0x4b, 0x44, 0x4d, 0x56]],
  ["a VMDK image", 0, [0x43, 0x4f, 0x57, 0x44]],
  ["a VHDX image", 0, [0x76, 0x68, 0x64, 0x78, 0x66, 0x69, 0x6c, 0x65]],
  ["a VHD image", 0, [0x63, 0x6f, 0x6e, 0x65, 0x63, 0x74, 0x69, 0x78]],
  ["a VDI image", 64, [0x7f, 0x10, 0xda, 0xbe]],
  ["a LUKS volume", 0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]],
  ["a gzip file", 0, [0x1f, 0x8b]],
  ["an xz file", 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["a Zstandard file", 0, [0x28, 0xb5, 0x2f, 0xfd]],
];

/** `a qcow2 image`; undefined when nothing speaks against raw. */
export function foreignFormat(start: Uint8Array): string | undefined {
  return SIGNATURES.find(([, at, bytes]) => bytes.every((byte, index) => start[at + index] === byte))?.[0];
}
