// What the machine starts with: -kernel, -initrd, -append, -bios, -dtb, -fw_cfg.
import { OptionError, OptionReader, str, type GivenOption } from "../../object/index.ts";
import type { FileRef } from "../plan.ts";
import type { ConfigDraft } from "./draft.ts";
import { partsOf, refuseParameters, type QemuOption } from "./option.ts";

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

function applyFwCfg(draft: ConfigDraft, given: GivenOption): void {
  const { subject } = given;
  const parsed = partsOf(given);
  refuseParameters(parsed, fwCfg.refusedParameters ?? {});
  const reader = new OptionReader(parsed);
  const name = reader.optional("name", str) ?? "";
  const path = reader.optional("file", str) ?? "";
  const text = reader.optional("string", str) ?? "";
  reader.end();
  if (name === "" || (path === "") === (text === "")) {
    throw new OptionError("badValue", "name, plus exactly one of file and string, are needed", { subject });
  }
  if (!name.startsWith("opt/")) {
    draft.warnings.push(`${subject}: externally provided fw_cfg item names should be prefixed with "opt/"`);
  }
  const content: FileRef = text === "" ? { subject, path } : { subject, name, bytes: new TextEncoder().encode(text) };
  draft.fwCfg.push({ name, content });
}

const fwCfg: QemuOption = {
  name: "fw_cfg",
  section: "Boot",
  argument: { impliedKey: "name" },
  synopsis: "[name=]NAME,file=FILE|string=TEXT",
  description: "A file that firmware, or the guest's qemu_fw_cfg driver, finds under NAME",
  example: "-fw_cfg name=opt/org.example/greeting,string=hello",
  refusedParameters: { gen_id: "no object makes such content; use file= or string=" },
  apply: applyFwCfg,
};

export const bootOptions: readonly QemuOption[] = [kernel, initrd, append, bios, dtb, fwCfg];
