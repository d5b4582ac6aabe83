// The boots that must work: each kernel × number of harts × interrupt controller × firmware, and some by way of U-Boot.
import type { VirtualMachineOptions } from "ratite/node";

const guests = ["debian", "debian-backports"] as const;
const hartCounts = [1, 2, 4] as const;

interface IrqChip {
  readonly boardOptions: NonNullable<VirtualMachineOptions["boardOptions"]>;
  /** In the guest's `/proc/interrupts`. */
  readonly interrupts: RegExp;
  /** In the guest's `/proc/device-tree/soc`. */
  readonly nodes: readonly string[];
}

/** `-M virt,…`, and by what a guest shows that it uses it. */
export const irqChips: Readonly<Record<"plic" | "aclint" | "aplic" | "imsic", IrqChip>> = {
  plic: { boardOptions: {}, interrupts: /SiFive PLIC/, nodes: ["clint@2000000"] },
  aclint: {
    boardOptions: { aclint: true },
    interrupts: /SiFive PLIC/,
    nodes: ["mswi@2000000", "mtimer@200bff8", "sswi@2f00000"],
  },
  aplic: {
    boardOptions: { aia: "aplic" },
    interrupts: /APLIC-DIRECT/,
    nodes: ["interrupt-controller@c000000", "interrupt-controller@d000000"],
  },
  imsic: {
    boardOptions: { aia: "aplic-imsic" },
    interrupts: /APLIC-MSI/,
    nodes: ["interrupt-controller@24000000", "interrupt-controller@28000000"],
  },
};

/** Implementations by the number that they give themselves (SBI specification 2.0, chapter 4; ours is its own). */
export const sbiImplementations = { sbi: "0x52415449", opensbi: "0x1" } as const;

export interface BootCase {
  readonly guest: (typeof guests)[number];
  readonly cpus: number;
  readonly irqChip: keyof typeof irqChips;
  readonly firmware: keyof typeof sbiImplementations;
  /** The kernel is not loaded into memory, but from a disk by this boot loader. */
  readonly loader?: "u-boot";
}

const direct: readonly BootCase[] = guests.flatMap((guest) =>
  hartCounts.flatMap((cpus) =>
    (["plic", "aclint", "aplic", "imsic"] as const).flatMap((irqChip) =>
      (["sbi", "opensbi"] as const).map((firmware) => ({ guest, cpus, irqChip, firmware })),
    ),
  ),
);

const fromDisk: readonly BootCase[] = guests.flatMap((guest) => [
  { guest, cpus: 1, irqChip: "plic", firmware: "opensbi", loader: "u-boot" },
  { guest, cpus: 2, irqChip: "imsic", firmware: "opensbi", loader: "u-boot" },
  { guest, cpus: 4, irqChip: "plic", firmware: "sbi", loader: "u-boot" },
]);

export const bootCases: readonly BootCase[] = [...direct, ...fromDisk];

/** `debian × 2 × imsic × opensbi`. */
export function caseName({ guest, cpus, irqChip, firmware, loader }: BootCase): string {
  return [guest, cpus, irqChip, firmware, ...(loader === undefined ? [] : [loader])].join(" × ");
}
