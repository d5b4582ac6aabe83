// For tests: small Debian packages, kernels and modules, made from nothing.
import { createHash } from "node:crypto";
import { viewOf } from "../../src/base/index.ts";

const text = new TextEncoder();

export function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** A tar of regular files, and of symlinks where the content is a string. */
export function makeTar(files: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  const members = Object.entries(files).map(([path, content]) => {
    const bytes = typeof content === "string" ? new Uint8Array(0) : content;
    const block = new Uint8Array(512 + Math.ceil(bytes.length / 512) * 512);
    const put = (value: string, at: number): void => block.set(text.encode(value), at);
    put(`./${path}`, 0);
    put("0000755\0", 100);
    put("0000000\0", 108);
    put("0000000\0", 116);
    put(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    put("00000000000\0", 136);
    put("        ", 148);
    put(typeof content === "string" ? "2" : "0", 156);
    if (typeof content === "string") put(content, 157);
    put("ustar\x0000", 257);
    const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    block.set(bytes, 512);
    return block;
  });
  return joined(...members, new Uint8Array(1024));
}

export function makeAr(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const parts = Object.entries(members).flatMap(([name, content]) => [
    text.encode(`${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6).repeat(2)}${"100644".padEnd(8)}`),
    text.encode(`${String(content.length).padEnd(10)}\`\n`),
    content,
    new Uint8Array(content.length % 2),
  ]);
  return joined(text.encode("!<arch>\n"), ...parts);
}

/** A Debian package with an uncompressed data archive. */
export function makeDeb(files: Readonly<Record<string, Uint8Array | string>>): Uint8Array {
  return makeAr({ "debian-binary": text.encode("2.0\n"), "data.tar": makeTar(files) });
}

/** An ELF64 file with these sections after its table of names. */
export function makeElf(sections: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const names = ["", ".names", ...Object.keys(sections), ""].join("\0");
  const all = { ".names": text.encode(names), ...sections };
  const head = new Uint8Array(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  viewOf(head).setBigUint64(40, 64n, true);
  viewOf(head).setUint16(58, 64, true);
  viewOf(head).setUint16(60, Object.keys(all).length, true);
  let at = 64 + Object.keys(all).length * 64;
  const table = Object.entries(all).map(([name, bytes]) => {
    const header = new Uint8Array(64);
    viewOf(header).setUint32(0, names.indexOf(`\0${name}\0`) + 1, true);
    viewOf(header).setUint32(4, 1, true);
    viewOf(header).setBigUint64(24, BigInt(at), true);
    viewOf(header).setBigUint64(32, BigInt(bytes.length), true);
    at += bytes.length;
    return header;
  });
  return joined(head, ...table, ...Object.values(all));
}

/** A kernel module that says of itself what `info` has. */
export function makeModule(...info: string[]): Uint8Array {
  return makeElf({ ".modinfo": text.encode(info.map((line) => `${line}\0`).join("")) });
}

/** A program or library that needs `libraries`, and has an interpreter if one is given. */
export function makeProgram(libraries: readonly string[], interpreter?: string): Uint8Array {
  const strings = `\0${libraries.map((name) => `${name}\0`).join("")}`;
  const dynamic = new Uint8Array((libraries.length + 1) * 16);
  libraries.forEach((name, i) => {
    viewOf(dynamic).setBigUint64(i * 16, 1n, true);
    viewOf(dynamic).setBigUint64(i * 16 + 8, BigInt(strings.indexOf(`\0${name}\0`) + 1), true);
  });
  return makeElf({
    ".dynamic": dynamic,
    ".dynstr": text.encode(strings),
    ...(interpreter === undefined ? {} : { ".interp": text.encode(`${interpreter}\0`) }),
  });
}

/** A riscv Image whose first bytes after the header are `mark`. */
export function makeKernel(mark: string): Uint8Array {
  const file = new Uint8Array(256);
  file.set(text.encode("RISCV"), 48);
  file.set(text.encode("RSC\x05"), 56);
  file.set(text.encode(mark), 64);
  return file;
}

export interface TestPackage {
  readonly name: string;
  readonly version: string;
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly depends?: string;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The package's path, bytes and stanza in an index. */
export function publish(item: TestPackage): { path: string; bytes: Uint8Array; stanza: string } {
  const bytes = makeDeb(item.files);
  const path = `pool/main/${item.name}_${item.version.replace(/^\d+:/, "")}_riscv64.deb`;
  const stanza = [
    `Package: ${item.name}`,
    `Version: ${item.version}`,
    "Architecture: riscv64",
    ...(item.depends === undefined ? [] : [`Depends: ${item.depends}`]),
    `Filename: ${path}`,
    `Size: ${bytes.length}`,
    `SHA256: ${sha256(bytes)}`,
    "",
    "",
  ].join("\n");
  return { path, bytes, stanza };
}

/** The user space of the composed guest, each file as small as it can be. */
export const USER_SPACE_PACKAGES: readonly TestPackage[] = [
  { name: "busybox-static", version: "1:1.37.0-6", files: { "usr/bin/busybox": text.encode("busybox") } },
  {
    name: "e2fsprogs",
    version: "1.47.2-3",
    files: {
      ...Object.fromEntries(
        ["mke2fs", "e2fsck", "tune2fs", "resize2fs", "dumpe2fs"].map((name) => [
          `usr/sbin/${name}`,
          makeProgram(["libext2fs.so.2", "libc.so.6"], "/lib/ld-linux-riscv64-lp64d.so.1"),
        ]),
      ),
      "etc/mke2fs.conf": text.encode("[defaults]\n"),
    },
  },
  {
    name: "libc6",
    version: "2.41-12",
    files: {
      "usr/lib/riscv64-linux-gnu/libc.so.6": makeProgram([]),
      "usr/lib/riscv64-linux-gnu/ld-linux-riscv64-lp64d.so.1": text.encode("loader"),
      "usr/lib/ld-linux-riscv64-lp64d.so.1": "riscv64-linux-gnu/ld-linux-riscv64-lp64d.so.1",
    },
  },
  {
    name: "libext2fs2t64",
    version: "1.47.2-3",
    files: {
      "usr/lib/riscv64-linux-gnu/libext2fs.so.2.4": makeProgram(["libcom_err.so.2", "libc.so.6"]),
      "usr/lib/riscv64-linux-gnu/libext2fs.so.2": "libext2fs.so.2.4",
    },
  },
  {
    name: "libcom-err2",
    version: "1.47.2-3",
    files: { "usr/lib/riscv64-linux-gnu/libcom_err.so.2": makeProgram([]) },
  },
  { name: "libblkid1", version: "2.41-1", files: {} },
  { name: "libuuid1", version: "2.41-1", files: {} },
];

/** A kernel of one package, as Debian has them up to 6.x. */
export function kernelPackage(release: string, version: string): TestPackage {
  const folder = `usr/lib/modules/${release}/kernel`;
  return {
    name: `linux-image-${release}`,
    version,
    files: {
      [`boot/vmlinux-${release}`]: makeKernel(release),
      [`${folder}/fs/ext4/ext4.ko`]: makeModule("alias=fs-ext4", "depends=jbd2,crc16"),
      [`${folder}/fs/jbd2/jbd2.ko`]: makeModule("depends="),
      [`${folder}/lib/crc16.ko`]: makeModule("depends="),
      [`${folder}/drivers/virtio/virtio_mmio.ko`]: makeModule("alias=of:N*T*Cvirtio,mmio", "depends="),
    },
  };
}
