// Where everything goes before the first instruction, as QEMU's `virt` board puts it (hw/riscv/boot.c), checked before
// the machine exists. The plan is carried out at every reset.
import { alignDown, alignUp, assert } from "../../base/index.ts";
import { flattenTree, isElf, parseTree, type DeviceTreeNode } from "../../format/index.ts";
import { MachineError } from "../errors.ts";
import type { MachineConfig } from "../port.ts";
import { fixUpTree } from "../firmware/sbi/tree-fixups.ts";
import { RNG_SEED_BYTES, setChosen, setRngSeed } from "./chosen.ts";
import { tellOlderFirmware } from "./firmware-tree.ts";
import { checkFit, mebibytes, type LoadSegment, type RamRange } from "./image.ts";
import { loadFirmware, loadKernel, reading, type LoadedProgram } from "./kernel.ts";
import { resetVector } from "./reset-vector.ts";

const HUGE_PAGE_BYTES = 0x20_0000;
/** How far behind the kernel an initrd is put at most, so that a kernel has room to unpack itself. */
const MAX_INITRD_DISTANCE_BYTES = 512 * 2 ** 20;

/**
 * Boot loaders write into the tree that firmware gives them in place (U-Boot: boot arguments, initrd). OpenSBI leaves at
 * least a kilobyte for that, which its own additions had been given (lib/utils/fdt/fdt_fixup.c).
 */
const SPARE_TREE_BYTES = 4096;

export type BootConfig = Pick<MachineConfig, "firmware" | "kernel" | "initrd" | "dtb" | "commandLine">;

export interface BootPlan {
  /** How the harts begin. */
  readonly start:
    | { readonly kind: "machineMode" }
    /** The built-in SBI enters the kernel on hart 0. */
    | { readonly kind: "supervisor"; readonly entry: number }
    /** Neither firmware nor a kernel: harts stay stopped. */
    | { readonly kind: "nothing" };
  readonly deviceTreeAt: number;
  /** The board's tree as `dumpdtb` shows it, with a given seed. */
  boardTree(seed: Uint8Array): Uint8Array;
  /** What is in RAM at a reset. */
  segments(seed: Uint8Array): readonly LoadSegment[];
  /** What is in the mask ROM. */
  readonly maskRom: Uint8Array;
}

/** Throws `MachineError` for files that cannot be used or do not fit. */
export function planBoot(config: BootConfig, ram: RamRange, board: DeviceTreeNode): BootPlan {
  const firmware = typeof config.firmware === "string" ? undefined : loadFirmware(config.firmware, ram);
  const kernel = planKernel(config, ram, firmware);
  const initrd = planInitrd(config, ram, kernel);
  const tree = config.dtb === undefined ? board : readTree(config.dtb.name, config.dtb.bytes);
  // A file's tree gets a seed only where it has one, as in QEMU.
  const hasSeed = config.dtb === undefined || tree.find("/chosen")?.has("rng-seed") === true;
  setChosen(tree, {
    commandLine: config.commandLine,
    initrd: initrd && { start: BigInt(initrd.at), end: BigInt(initrd.at + initrd.lengthBytes) },
  });
  const change = changeForGuest(config);
  const spareBytes = config.firmware === "default" ? SPARE_TREE_BYTES : 0;
  const flatten = (seed: Uint8Array, forGuest: boolean): Uint8Array => {
    if (hasSeed) setRngSeed(tree, seed);
    if (!forGuest || change === undefined) return flattenTree(tree);
    const copy = parseTree(flattenTree(tree)).root;
    change(copy);
    return flattenTree(copy, { spareBytes });
  };

  const treeBytes = flatten(new Uint8Array(RNG_SEED_BYTES), true).length;
  const deviceTreeAt = alignDown(ram.base + ram.lengthBytes - treeBytes, HUGE_PAGE_BYTES);
  if (deviceTreeAt < ram.base) {
    throw new MachineError(
      "doesNotFit",
      `Memory of ${ram.lengthBytes} bytes has no room for a device tree; -m 4M would do`,
    );
  }
  const segments = (seed: Uint8Array): readonly LoadSegment[] => {
    const bytes = flatten(seed, true);
    assert(bytes.length === treeBytes, "a device tree has the same length at every reset", bytes.length, treeBytes);
    const treeSegment = {
      what: "The device tree",
      at: deviceTreeAt,
      bytes,
      lengthBytes: bytes.length,
      zeroRest: false,
    };
    return [...(firmware?.segments ?? []), ...(kernel?.segments ?? []), ...(initrd ? [initrd] : []), treeSegment];
  };
  checkFit(segments(new Uint8Array(RNG_SEED_BYTES)), ram);
  const start = planStart(config, kernel);
  return {
    start,
    deviceTreeAt,
    boardTree: (seed) => flatten(seed, false),
    segments,
    maskRom: resetVector({
      start: BigInt(firmware?.entry ?? bareStart(config, ram, kernel)),
      deviceTree: BigInt(deviceTreeAt),
      nextAddress: BigInt(kernel?.low ?? 0),
    }),
  };
}

/** In which way the tree in RAM is not the one that `dumpdtb` shows. */
function changeForGuest({ firmware, dtb }: BootConfig): ((root: DeviceTreeNode) => void) | undefined {
  if (firmware === "default") return fixUpTree;
  return firmware === "none" || dtb !== undefined ? undefined : tellOlderFirmware;
}

function planKernel(config: BootConfig, ram: RamRange, firmware: LoadedProgram | undefined): LoadedProgram | undefined {
  if (config.kernel === undefined) return undefined;
  if (config.firmware === "default") {
    // The built-in SBI needs no memory; the kernel goes where it would be behind OpenSBI.
    return loadKernel(config.kernel, ram.base + HUGE_PAGE_BYTES, { raw: false, ram });
  }
  return loadKernel(config.kernel, alignUp(firmware?.end ?? ram.base, HUGE_PAGE_BYTES), { raw: true, ram });
}

function planInitrd(config: BootConfig, ram: RamRange, kernel: LoadedProgram | undefined): LoadSegment | undefined {
  if (config.initrd === undefined) return undefined;
  const what = `Initrd "${config.initrd.name}"`;
  if (kernel === undefined)
    throw new MachineError("badConfig", `${what} has no kernel to go with; -kernel FILE would do`);
  const { bytes } = config.initrd;
  if (bytes.length === 0) throw new MachineError("badImage", `${what} is empty`);
  if (bytes.length > ram.lengthBytes) {
    throw new MachineError(
      "doesNotFit",
      `${what} has ${mebibytes(bytes.length)}, more than the machine's memory of ${mebibytes(ram.lengthBytes)}`,
    );
  }
  const at = kernel.low + Math.min(ram.lengthBytes / 2, MAX_INITRD_DISTANCE_BYTES);
  return { what, at, bytes, lengthBytes: bytes.length, zeroRest: false };
}

function planStart(config: BootConfig, kernel: LoadedProgram | undefined): BootPlan["start"] {
  if (config.firmware === "default") {
    // The lowest address and not an ELF file's entry: that is where firmware jumps to (hw/riscv/boot.c).
    return kernel === undefined ? { kind: "nothing" } : { kind: "supervisor", entry: kernel.low };
  }
  if (config.firmware !== "none" || kernel !== undefined) return { kind: "machineMode" };
  return { kind: "nothing" };
}

/**
 * Where harts begin without firmware: at the start of RAM, whatever a file's entry, as in QEMU; at the entry where the
 * start of RAM holds no code.
 */
function bareStart(config: BootConfig, ram: RamRange, kernel: LoadedProgram | undefined): number {
  if (config.firmware !== "none" || kernel === undefined || hasCodeAt(kernel, ram.base)) return ram.base;
  const isLoaded = kernel.segments.some(({ at, lengthBytes }) => at <= kernel.entry && kernel.entry < at + lengthBytes);
  if (isLoaded) return kernel.entry;
  throw new MachineError(
    "doesNotFit",
    `Kernel "${config.kernel!.name}" begins at 0x${kernel.low.toString(16)} and has its entry at ` +
      `0x${kernel.entry.toString(16)}, where it has nothing; without firmware (-bios none) harts start at ` +
      `0x${ram.base.toString(16)} or at the entry: an image linked there, or firmware, would do`,
  );
}

/** False where nothing is loaded, and where it is the header of the ELF file itself. */
function hasCodeAt({ segments }: LoadedProgram, address: number): boolean {
  const found = segments.find(({ at, lengthBytes }) => at <= address && address < at + lengthBytes);
  return found !== undefined && !(found.at === address && isElf(found.bytes));
}

function readTree(name: string, bytes: Uint8Array): DeviceTreeNode {
  return reading(`Device tree "${name}"`, { name, bytes }, () => parseTree(bytes).root);
}
