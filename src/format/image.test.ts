import { describe, expect, test } from "vitest";
import { viewOf } from "../base/index.ts";
import { identifyKernel, parseKernelImage } from "./image.ts";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { encodeText } from "./text.ts";

function riscvImage(): Uint8Array {
  const file = new Uint8Array(128);
  const view = viewOf(file);
  file.set(encodeText("MZ"), 0);
  view.setBigUint64(8, 0x200000n, true);
  view.setBigUint64(16, 0x1e6b000n, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 0, true);
  file.set(encodeText("RISCV"), 48);
  file.set(encodeText("RSC\x05"), 56);
  view.setUint32(60, 0x40, true);
  return file;
}

function zboot(payload: number[]): Uint8Array {
  const file = new Uint8Array(64 + payload.length);
  file.set(encodeText("MZ"), 0);
  file.set(encodeText("zimg"), 4);
  viewOf(file).setUint32(8, 64, true);
  viewOf(file).setUint32(12, payload.length, true);
  file.set(encodeText("gzip"), 24);
  file.set(payload, 64);
  return file;
}

describe("parseKernelImage", () => {
  test("reads the header of a riscv Image", () => {
    expect(parseKernelImage(riscvImage())).toEqual({
      architecture: "riscv",
      textOffsetBytes: 0x200000,
      imageLengthBytes: 0x1e6b000,
      flags: 0n,
      isBigEndian: false,
      version: { major: 0, minor: 2 },
      isEfiStub: true,
    });
  });
  test("knows an arm64 Image", () => {
    const file = new Uint8Array(64);
    file.set(encodeText("ARM\x64"), 56);
    expect(parseKernelImage(file).architecture).toBe("arm64");
  });
  test("says what a file without the header looks like", () => {
    expect(() => parseKernelImage(new Uint8Array([0x1f, 0x8b, 8, 0]))).toThrow("gzip data");
    expect(() => parseKernelImage(encodeText("070701000000"))).toThrow("cpio archive");
    expect(() => parseKernelImage(new Uint8Array(0))).toThrow("an empty file");
  });
  test("refuses an offset that no memory has", () => {
    const file = riscvImage();
    viewOf(file).setBigUint64(8, 1n << 60n, true);
    expect(() => parseKernelImage(file)).toThrow("0x1000000000000000");
  });
});

describe("identifyKernel", () => {
  test("tells an Image from an EFI program without the header", () => {
    expect(identifyKernel(riscvImage()).form).toBe("image");
    expect(identifyKernel(encodeText("MZ and more")).form).toBe("efi");
  });
  test("finds the compressed payload of an EFI zboot kernel", () => {
    const wrapping = identifyKernel(zboot([0x1f, 0x8b, 8, 0, 1, 2]));
    expect(wrapping).toEqual({
      form: "compressed",
      compression: "gzip",
      payload: new Uint8Array([0x1f, 0x8b, 8, 0, 1, 2]),
    });
  });
  test("refuses a zboot payload of an unknown compression by name", () => {
    expect(() => identifyKernel(zboot([1, 2, 3]))).toThrow('compressed with "gzip"');
  });
  test("answers damaged files with FormatError and nothing else", () => {
    expectOnlyFormatErrors(identifyKernel, zboot([0x1f, 0x8b, 8, 0, 1, 2]));
    expectOnlyFormatErrors(parseKernelImage, riscvImage());
  });
});
