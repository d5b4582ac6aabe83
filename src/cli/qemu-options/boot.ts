// What the machine starts with: -kernel, -initrd, -append, -bios, -dtb.
import type { QemuOption } from "./option.ts";

const kernel: QemuOption = {
  name: "kernel",
  section: "Boot",
  argument: "text",
  synopsis: "FILE",
  description: "A Linux Image (plain, gzip-compressed or with an EFI stub), or an ELF file",
  example: "-kernel vmlinuz -initrd initrd.gz -append 'console=ttyS0'",
  apply(draft, { subject, argument }) {
    draft.kernel = { subject, path: argument };
  },
};

const initrd: QemuOption = {
  name: "initrd",
  section: "Boot",
  argument: "text",
  synopsis: "FILE",
  description: "The initial RAM disk for -kernel",
  example: "-kernel vmlinuz -initrd initrd.gz",
  apply(draft, { subject, argument }) {
    draft.initrd = { subject, path: argument };
  },
};

const append: QemuOption = {
  name: "append",
  section: "Boot",
  argument: "text",
  synopsis: "TEXT",
  description: "The kernel's command line",
  example: "-append 'console=ttyS0 root=/dev/vda rw'",
  apply(draft, { subject, argument }) {
    draft.commandLine = { subject, text: argument };
  },
};

const bios: QemuOption = {
  name: "bios",
  section: "Boot",
  argument: "text",
  synopsis: "default|none|FILE",
  description: "The firmware: the built-in SBI (default), none, or an ELF or raw file that runs in M-mode",
  example: "-bios fw_jump.elf",
  differs: "`default` is a built-in SBI, not OpenSBI",
  apply(draft, { subject, argument }) {
    draft.firmware = argument === "default" || argument === "none" ? argument : { subject, path: argument };
  },
};

const dtb: QemuOption = {
  name: "dtb",
  section: "Boot",
  argument: "text",
  synopsis: "FILE",
  description: "A device tree for the guest instead of the board's own",
  example: "-dtb board.dtb",
  apply(draft, { subject, argument }) {
    draft.dtb = { subject, path: argument };
  },
};

export const bootOptions: readonly QemuOption[] = [kernel, initrd, append, bios, dtb];
