// One boot of the matrix: to the shell, what the guest says of itself checked, power off.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VirtualMachineOptions } from "ratite/node";
import { fetchGuest } from "../../src/guest/index.ts";
import { nodeGuestHost } from "../../src/host/node/index.ts";
import { canMakeDisk, extlinux, makeDisk } from "../../test/support/boot-disk.ts";
import { openSbi, uBoot, type FoundFile } from "../../test/support/firmware-files.ts";
import { withGuest, type GuestSession } from "../guest-session.ts";
import { irqChips, sbiImplementations, type BootCase } from "./cases.ts";

export type Outcome =
  | { readonly seconds: number; readonly kernel: string }
  | { readonly error: string }
  | { readonly skipped: string };

export interface BootFiles {
  /** Default: the one of Debian's package. */
  readonly openSbi: string | undefined;
  /** Default: the library's. */
  readonly accelerator: VirtualMachineOptions["accelerator"] | undefined;
}

/** Says what is missing for a boot by throwing this. */
class Missing extends Error {}

export async function boot(what: BootCase, files: BootFiles): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "ratite-matrix-"));
  try {
    let outcome: Outcome = { error: "no shell" };
    await withGuest(await machineOptions(what, files, folder), async (session) => {
      const kernel = await checkGuest(session, what);
      outcome = { seconds: session.bootSeconds, kernel };
    });
    return outcome;
  } catch (error) {
    if (error instanceof Missing) return { skipped: error.message };
    return { error: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function machineOptions(what: BootCase, files: BootFiles, folder: string): Promise<VirtualMachineOptions> {
  const { guest, cpus, irqChip, firmware, loader } = what;
  const board = { cpus, boardOptions: irqChips[irqChip].boardOptions };
  const machine: VirtualMachineOptions = {
    ...board,
    ...(files.accelerator === undefined ? {} : { accelerator: files.accelerator }),
    ...(firmware === "sbi" ? {} : { firmware: { image: files.openSbi ?? needed(openSbi("fw_dynamic.bin")) } }),
  };
  if (loader === undefined) return { ...machine, guest };
  if (!canMakeDisk()) throw new Missing("Debian's package e2fsprogs is not installed");
  const release = guest === "debian" ? {} : { release: "trixie-backports" };
  const { kernelPath, initrdPath } = await fetchGuest(nodeGuestHost(), "debian", release);
  // The built-in SBI takes what says where it belongs: the ELF file.
  const kernel = needed(uBoot("supervisor", firmware === "sbi" ? "uboot.elf" : "u-boot.bin"));
  const disk = makeDisk(folder, {
    vmlinux: { path: kernelPath },
    initrd: { path: initrdPath },
    ...extlinux({ linux: "/vmlinux", initrd: "/initrd", append: "console=ttyS0" }),
  });
  return { ...machine, memory: "512M", kernel, drives: [disk] };
}

function needed(file: FoundFile): string {
  if ("missing" in file) throw new Missing(file.missing);
  return file.path;
}

/** Answers the kernel's release; throws when the guest is not on the machine that was asked for. */
async function checkGuest(guest: GuestSession, { cpus, irqChip, firmware }: BootCase): Promise<string> {
  const kernel = await guest.run("uname -r");
  const harts = await guest.run("nproc");
  if (harts !== `${cpus}`) throw new Error(`${harts} of ${cpus} harts came up`);
  const { interrupts, nodes } = irqChips[irqChip];
  const table = await guest.run("cat /proc/interrupts");
  if (!interrupts.test(table)) throw new Error(`interrupts come by another controller:\n${table}`);
  await guest.run(`cd /proc/device-tree/soc && ls -d ${nodes.join(" ")} && cd`);
  const implementation = await guest.run("dmesg | grep -o 'SBI implementation ID=0x[0-9a-f]*'");
  if (!implementation.endsWith(`=${sbiImplementations[firmware]}`))
    throw new Error(`other firmware: ${implementation}`);
  return kernel;
}
