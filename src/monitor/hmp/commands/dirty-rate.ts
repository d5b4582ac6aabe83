// How fast memory is written, and harts held to a rate.
import type { HmpArguments } from "../arguments.ts";
import { hmpCommand, type HmpCommand, type HmpContext } from "../command.ts";

interface RateInfo {
  readonly status: string;
  readonly mode: string;
  readonly "dirty-rate"?: number;
  readonly "start-time": number;
  readonly "calc-time": number;
  readonly "sample-pages": number;
  readonly "vcpu-dirty-rate"?: readonly { readonly id: number; readonly "dirty-rate": number }[];
}

interface LimitInfo {
  readonly "cpu-index": number;
  readonly "limit-rate": number;
  readonly "current-rate": number;
}

const QUERY = "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n";

export const dirtyRateCommands: readonly HmpCommand[] = [
  hmpCommand("calc_dirty_rate", "measure how fast memory is written (-b: by dirty bitmap)", calculate, {
    args: "ring:-r,bitmap:-b,second:i,pages:i?",
    params: "[-r] [-b] second [sample_pages_per_GB]",
  }),
  hmpCommand(
    "set_vcpu_dirty_limit",
    "hold harts, or one, to so many MB/s of dirty pages",
    async ({ ask }, { rate, cpu }) => {
      await ask("set-vcpu-dirty-limit", {
        "dirty-rate": rate as number,
        ...(cpu !== undefined && { "cpu-index": cpu }),
      });
      return QUERY;
    },
    { args: "rate:i,cpu:i?", params: "dirty_rate [cpu_index]" },
  ),
  hmpCommand(
    "cancel_vcpu_dirty_limit",
    "let harts, or one, write as they like again",
    async ({ ask }, { cpu }) => {
      await ask("cancel-vcpu-dirty-limit", cpu === undefined ? {} : { "cpu-index": cpu });
      return QUERY;
    },
    { args: "cpu:i?", params: "[cpu_index]" },
  ),
];

export const dirtyRateInfos: readonly HmpCommand[] = [
  hmpCommand("dirty_rate", "show dirty rate information", async ({ ask }) => {
    const info = await ask<RateInfo>("query-dirty-rate");
    const rate = info["dirty-rate"];
    const each = (info["vcpu-dirty-rate"] ?? []).map(
      (of) => `vcpu[${of.id}], Dirty rate: ${of["dirty-rate"]} (MB/s)\n`,
    );
    const measured = rate === undefined ? "Dirty rate: (not ready)\n" : `Dirty rate: ${rate} (MB/s)\n${each.join("")}`;
    return (
      `Status: ${info.status}\nStart Time: ${info["start-time"]} (ms)\nSample Pages: ${info["sample-pages"]} (per GB)\n` +
      `Period: ${info["calc-time"]} (sec)\nMode: ${info.mode}\n${measured}`
    );
  }),
  hmpCommand("vcpu_dirty_limit", "show which harts are held to a rate", async ({ ask }) => {
    const limits = await ask<readonly LimitInfo[]>("query-vcpu-dirty-limit");
    if (limits.length === 0) return "Dirty page limit not enabled!\n";
    const line = (of: LimitInfo): string =>
      `vcpu[${of["cpu-index"]}], limit rate ${of["limit-rate"]} (MB/s), current rate ${of["current-rate"]} (MB/s)\n`;
    return limits.map(line).join("");
  }),
];

async function calculate({ ask }: HmpContext, { ring, bitmap, second, pages }: HmpArguments): Promise<string> {
  if ((second as number) < 1) return "Incorrect period length specified!\n";
  if (ring === true && bitmap === true) return "Either dirty ring or dirty bitmap can be specified!\n";
  await ask("calc-dirty-rate", {
    "calc-time": second as number,
    ...(pages !== undefined && { "sample-pages": pages }),
    mode: ring === true ? "dirty-ring" : bitmap === true ? "dirty-bitmap" : "page-sampling",
  });
  return `Starting dirty rate measurement with period ${second as number} seconds\n[Please use 'info dirty_rate' to check results]\n`;
}
