// From package files to a kernel and an initrd.
import {
  type ArchiveEntry,
  type DecompressPort,
  identifyKernel,
  parseKernelImage,
  unpackKernel,
} from "../format/index.ts";
import type { GuestDescription } from "./catalog.ts";
import { unpackDeb } from "./deb.ts";
import { composeInitramfs } from "./initramfs.ts";
import { type FileTree, resolveFile } from "./libraries.ts";
import { GuestError, type PackageRecord, type WorkOptions } from "./port.ts";

export interface PackageFile {
  readonly record: PackageRecord;
  readonly bytes: Uint8Array;
}
export interface BuiltGuest {
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly kernelRelease: string;
}

/** Unpacks the packages and makes what the guest boots from. Throws `GuestError` and `FormatError`. */
export async function buildGuest(
  guest: GuestDescription,
  packages: readonly PackageFile[],
  decompress: DecompressPort,
  options: WorkOptions,
): Promise<BuiltGuest> {
  const tree = new Map<string, ArchiveEntry>();
  for (const { record, bytes } of packages) {
    options.signal?.throwIfAborted();
    const subject = `${record.name} ${record.version}`;
    const entries = await unpackDeb(bytes, decompress, (doneBytes, totalBytes) => {
      options.signal?.throwIfAborted();
      options.report({ phase: "unpack", subject, doneBytes, totalBytes });
    });
    for (const entry of entries) tree.set(entry.path, entry);
  }
  options.report({ phase: "compose", subject: guest.name });
  if (guest.kind === "installer") return takeInstaller(tree, packages, decompress);
  const kernel = findKernel(tree);
  const modules = modulesOf(tree, kernel.release);
  const initrd = await composeInitramfs({ userSpace: tree, kernelRelease: kernel.release, modules, decompress });
  return { kernel: await rawKernel(kernel.entry, decompress), initrd, kernelRelease: kernel.release };
}

/** Before 7.x the kernel is /boot/vmlinux-RELEASE; from then on it lies in the module folder as vmlinuz. */
function findKernel(tree: FileTree): { entry: ArchiveEntry; release: string } {
  for (const [path, entry] of tree) {
    const match = /^boot\/vmlinu[xz]-(.+)$/.exec(path) ?? /^(?:usr\/)?lib\/modules\/([^/]+)\/vmlinu[xz]$/.exec(path);
    if (match !== null && entry.type === "file") return { entry, release: match[1]! };
  }
  throw new GuestError("missingFile", "None of the kernel's packages has a file vmlinux-* or vmlinuz");
}

function modulesOf(tree: FileTree, release: string): Map<string, Uint8Array> {
  const modules = new Map<string, Uint8Array>();
  for (const [path, entry] of tree) {
    const match = /^(?:usr\/)?lib\/modules\/([^/]+)\/(kernel\/.+\.ko(?:\.\w+)?)$/.exec(path);
    if (match?.[1] === release && entry.type === "file") modules.set(match[2]!, entry.content);
  }
  return modules;
}

async function takeInstaller(
  tree: FileTree,
  packages: readonly PackageFile[],
  decompress: DecompressPort,
): Promise<BuiltGuest> {
  const folder = /^usr\/lib\/debian-installer\/images\/[^/]+\/riscv64\/text\/debian-installer\/riscv64\//;
  const find = (name: string): ArchiveEntry => {
    for (const path of tree.keys()) {
      const entry = folder.test(path) && path.endsWith(`/${name}`) ? resolveFile(tree, path) : undefined;
      if (entry !== undefined) return entry;
    }
    throw new GuestError("missingFile", `The installer's package has no file ${name} for the text installer`);
  };
  const kernel = await rawKernel(find("linux"), decompress);
  // The copy lets go of the unpacked archive.
  return { kernel, initrd: find("initrd.gz").content.slice(), kernelRelease: packages[0]!.record.version };
}

async function rawKernel(entry: ArchiveEntry, decompress: DecompressPort): Promise<Uint8Array> {
  const kernel = await unpackKernel(entry.content, decompress);
  if (identifyKernel(kernel).form === "image") {
    const { architecture } = parseKernelImage(kernel);
    if (architecture !== "riscv") {
      throw new GuestError("missingFile", `/${entry.path} is a kernel for ${architecture}; one for riscv would do`);
    }
  }
  return kernel === entry.content ? kernel.slice() : kernel;
}
