// How guest code is run: -accel, and -machine accel=. QEMU's rules: several are tried in turn, and the first that there is
// is used (system/vl.c, configure_accelerators).
import { defaultAccelerator, type AcceleratorConfig } from "../../accel/port.ts";
import { bool, intRange, oneOf, OptionError, OptionReader, str } from "../../object/index.ts";
import type { ConfigDraft } from "./draft.ts";
import { partsOf, refuseParameters, requireValue, type QemuOption } from "./option.ts";

/** Decoded code lies in the machine's memory of 4 GiB. */
const MAX_CACHE_MEBIBYTES = 1024;

/** By QEMU's name or ours. */
const ACCELERATORS: Readonly<Record<string, AcceleratorConfig["tier"]>> = {
  interpreter: "interpreter",
  jit: "jit",
  tcg: defaultAccelerator.tier,
};
const FOREIGN_ACCELERATORS: Readonly<Record<string, string>> = {
  kvm: "riscv64 guests are translated here, whatever the host's CPU; use tcg",
  hvf: "Ratite does not use the host's hypervisor; use tcg",
  whpx: "Ratite does not use the host's hypervisor; use tcg",
  nvmm: "Ratite does not use the host's hypervisor; use tcg",
  xen: "Ratite does not run on Xen's interfaces; use tcg",
  hax: "Ratite does not use the host's hypervisor; use tcg",
  mshv: "Ratite does not use the host's hypervisor; use tcg",
  qtest: "there is no qtest monitor yet; use tcg",
};

/** Takes the first accelerator of a list that there is, unless an option before gave one. */
export function takeAccelerator(
  draft: ConfigDraft,
  list: string,
  subject: string,
  source: "-accel" | "-machine accel=",
  parameters: Partial<AcceleratorConfig> = {},
): void {
  const { accelerators } = draft;
  if ((accelerators.source ??= source) !== source) {
    const message = 'The -accel and "-machine accel=" options are incompatible';
    throw new OptionError("badValue", message, { subject });
  }
  for (const name of list.split(":")) {
    const tier = Object.hasOwn(ACCELERATORS, name) ? ACCELERATORS[name]! : undefined;
    if (tier !== undefined) {
      accelerators.chosen ??= { ...defaultAccelerator, tier, ...parameters };
      return;
    }
    accelerators.refusal ??= refusalOf(name, subject);
  }
}

function refusalOf(name: string, subject: string): OptionError {
  const reason = Object.hasOwn(FOREIGN_ACCELERATORS, name) ? FOREIGN_ACCELERATORS[name] : undefined;
  if (reason === undefined) return new OptionError("badValue", `invalid accelerator ${name}`, { subject });
  return new OptionError("unsupported", `Accelerator '${name}' is not supported: ${reason}`, { subject });
}

/** What all options together said; undefined when none did. Throws why the first of them cannot be, when none can. */
export function chosenAccelerator({ accelerators }: ConfigDraft): AcceleratorConfig | undefined {
  const { chosen, refusal } = accelerators;
  if (chosen === undefined && refusal !== undefined) throw refusal;
  return chosen;
}

export const accel: QemuOption = {
  name: "accel",
  section: "Machine",
  argument: { impliedKey: "accel" },
  synopsis: "[accel=]tcg|jit|interpreter[,thread=single][,tb-size=MIB][,one-insn-per-tb=on|off]",
  description: "How guest code is run: `jit` compiles hot code to WebAssembly, `interpreter` does not",
  example: "-accel tcg",
  differs:
    "`tcg` is another name of our default; other ones are refused; `tb-size` (0, as when left out, is 128) is for decoded and compiled code together; `one-insn-per-tb=on` means `interpreter`",
  refusedParameters: {
    "split-wx": "generated code is WebAssembly",
    "kernel-irqchip": "there is no KVM",
    "kvm-shadow-mem": "there is no KVM",
    "dirty-ring-size": "there is no KVM",
    "eager-split-size": "there is no KVM",
    "notify-vmexit": "there is no KVM",
    "igd-passthru": "there is no Xen",
    device: "there is no KVM",
  },
  apply(draft, given) {
    const parsed = partsOf(given);
    if (parsed.helpWanted) {
      draft.information = `Accelerators supported by this program:\n${Object.keys(ACCELERATORS).join("\n")}\n`;
      return;
    }
    refuseParameters(parsed, accel.refusedParameters ?? {});
    const reader = new OptionReader(parsed);
    const list = reader.required("accel", str);
    const thread = reader.optional("thread", oneOf("thread", ["single", "multi"]));
    requireValue(parsed, "thread", thread, ["single"], "harts share one thread");
    const cacheMebibytes = reader.optional("tb-size", intRange("uint32", 0, MAX_CACHE_MEBIBYTES)) ?? 0;
    const oneByOne = reader.optional("one-insn-per-tb", bool) ?? false;
    reader.end();
    takeAccelerator(draft, list, given.subject, "-accel", {
      ...(cacheMebibytes === 0 ? {} : { cacheBytes: cacheMebibytes * 2 ** 20 }),
      // The interpreter executes each instruction by itself.
      ...(oneByOne ? { tier: "interpreter" as const } : {}),
    });
  },
};
