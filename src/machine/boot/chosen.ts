// What the boot loader tells the kernel: `/chosen` of the device tree.
import type { DeviceTreeNode } from "../../format/index.ts";

export interface ChosenInput {
  readonly commandLine: string;
  readonly initrd: { readonly start: bigint; readonly end: bigint } | undefined;
}

/** Writes what the boot loader tells the kernel; absent values leave the tree as it is. */
export function setChosen(root: DeviceTreeNode, { commandLine, initrd }: ChosenInput): void {
  const chosen = root.child("chosen") ?? root.add("chosen");
  if (commandLine !== "") chosen.setString("bootargs", commandLine);
  if (initrd === undefined) return;
  chosen.setU64("linux,initrd-start", initrd.start);
  chosen.setU64("linux,initrd-end", initrd.end);
}

/** Length of `/chosen/rng-seed` in bytes, as QEMU's. */
export const RNG_SEED_BYTES = 32;

/** A fresh seed for the guest's random pool, at every reset. */
export function setRngSeed(root: DeviceTreeNode, seed: Uint8Array): void {
  (root.child("chosen") ?? root.add("chosen")).setBytes("rng-seed", seed);
}
