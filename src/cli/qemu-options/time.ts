// What guest time and the guest's random bytes are made of: -icount, -rtc, -seed.
import { bool, OptionError, OptionReader, oneOf, parseInteger, str, type GivenOption } from "../../object/index.ts";
import { MAX_ICOUNT_SHIFT } from "../../machine/index.ts";
import type { ConfigDraft } from "./draft.ts";
import { partsOf, refuseParameters, requireValue, type QemuOption } from "./option.ts";

const NO_REPLAY = "runs are not recorded yet; with a fixed shift, two runs without input are the same by themselves";

function applyIcount(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  refuseParameters(parsed, icount.refusedParameters ?? {});
  const reader = new OptionReader(parsed);
  const shift = reader.optional("shift", str);
  const isAligned = reader.optional("align", bool);
  const sleep = reader.optional("sleep", bool) ?? true;
  reader.end();
  const refuse = (message: string): OptionError => new OptionError("badValue", message, given);
  if (shift === undefined) {
    // QEMU takes `sleep=` alone and ignores it.
    throw refuse(`Please specify shift option when using ${isAligned === undefined ? "sleep" : "align"}`);
  }
  const align = isAligned === true;
  if (align && !sleep) throw refuse("align=on and sleep=off are incompatible");
  if (shift === "auto") {
    if (align) throw refuse("shift=auto and align=on are incompatible");
    if (!sleep) throw refuse("shift=auto and sleep=off are incompatible");
    draft.icount = { shift, align, sleep };
    return;
  }
  const value = parseInteger(shift);
  if (value === undefined || value < 0n || value > MAX_ICOUNT_SHIFT) {
    throw refuse(`icount: Invalid shift value; 0 to ${MAX_ICOUNT_SHIFT} or auto would do`);
  }
  draft.icount = { shift: Number(value), align, sleep };
}

const icount: QemuOption = {
  name: "icount",
  section: "Running",
  argument: { impliedKey: "shift" },
  synopsis: "[shift=]N|auto[,align=on|off][,sleep=on|off]",
  description: "Guest time is made of instructions, 2^N ns each; two runs without input are the same with a fixed N",
  example: "-icount shift=0,sleep=off",
  differs:
    "no record and replay; time that every hart waits is exact, so that a fixed shift alone repeats a run; `align=on` " +
    "does not warn when the guest is late; with a fixed shift, `-seed` and `-rtc` have fixed defaults (see below)",
  refusedParameters: { rr: NO_REPLAY, rrfile: NO_REPLAY, rrsnapshot: NO_REPLAY },
  apply: applyIcount,
};

const SEED_LIMIT = 1n << 64n;

const seed: QemuOption = {
  name: "seed",
  section: "Running",
  argument: "text",
  synopsis: "NUMBER",
  description: "What the guest gets as random (the tree's rng-seed, virtio-rng) follows from NUMBER; no secrets then",
  example: "-seed 42 -device virtio-rng-device",
  differs: "the bytes are others than QEMU's",
  apply(draft, given) {
    const value = parseInteger(given.argument);
    if (value === undefined || value < 0n || value >= SEED_LIMIT) {
      throw new OptionError("badValue", `Invalid seed number: ${given.argument}`, given);
    }
    draft.seed = value;
  },
};

function applyRtc(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  const reader = new OptionReader(parsed);
  const base = reader.optional("base", str);
  const clock = reader.optional("clock", oneOf("clock", ["host", "rt", "vm"]));
  requireValue(parsed, "driftfix", reader.optional("driftfix", str), ["none"], "it is for x86 only");
  reader.end();
  if (base !== undefined) draft.rtc.base = rtcBase(base, given);
  if (clock !== undefined) draft.rtc.clock = clock;
}

function rtcBase(text: string, given: GivenOption): "utc" | "localtime" | bigint {
  if (text === "utc" || text === "localtime") return text;
  const form = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2})?$/.test(text) ? text : "";
  const ms = Date.parse(form.includes("T") ? `${form}Z` : form);
  // Date.parse takes the 30th of February for the 2nd of March.
  const isReal = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(form);
  if (!isReal) {
    const would = "utc, localtime, '2006-06-17T16:01:21' and '2006-06-17' would do";
    throw new OptionError("badValue", `invalid datetime format '${text}'; ${would}`, given);
  }
  return BigInt(ms) * 1_000_000n;
}

const rtc: QemuOption = {
  name: "rtc",
  section: "Running",
  argument: {},
  synopsis: "[base=utc|localtime|DATETIME][,clock=host|rt|vm]",
  description: "The time of day that the guest's clock starts with, and what drives it",
  example: "-rtc base=2026-01-01T00:00:00,clock=vm",
  apply: applyRtc,
};

export const timeOptions: readonly QemuOption[] = [rtc, icount, seed];
