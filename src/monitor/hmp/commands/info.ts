// `info`: short facts.
import { hmpCommand, type HmpCommand } from "../command.ts";

interface Status {
  readonly running: boolean;
  readonly status: string;
}

interface Version {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  readonly package: string;
}

interface Cpu {
  readonly "cpu-index": number;
  readonly "thread-id": number;
}

export const infoCommands: readonly HmpCommand[] = [
  hmpCommand("status", "show the current VM status (running|paused)", async ({ ask }) => {
    const { running, status } = await ask<Status>("query-status");
    const more = running || status === "paused" ? "" : ` (${status})`;
    return `VM status: ${running ? "running" : "paused"}${more}\n`;
  }),
  hmpCommand("version", "show the version of QEMU that this is like, and of Ratite", async ({ ask }) => {
    const { qemu, package: own } = await ask<Version>("query-version");
    return `${qemu.major}.${qemu.minor}.${qemu.micro}${own}\n`;
  }),
  hmpCommand("name", "show the current VM name", async ({ ask }) => {
    const { name } = await ask<{ name?: string }>("query-name");
    return name === undefined ? "" : `${name}\n`;
  }),
  hmpCommand(
    "uuid",
    "show the current VM UUID",
    async ({ ask }) => `${(await ask<{ UUID: string }>("query-uuid")).UUID}\n`,
  ),
  hmpCommand("cpus", "show the harts", async ({ ask }) => {
    const cpus = await ask<readonly Cpu[]>("query-cpus-fast");
    const line = ({ "cpu-index": index, "thread-id": thread }: Cpu): string =>
      `${index === 0 ? "*" : " "} CPU #${index}: thread_id=${thread}\n`;
    return cpus.map(line).join("");
  }),
  hmpCommand("kvm", "show KVM information", () => "kvm support: not compiled\n"),
  hmpCommand("memory_size_summary", "show the amount of memory in bytes", async ({ ask }) => {
    const { "base-memory": base } = await ask<{ "base-memory": number }>("query-memory-size-summary");
    return `base memory: ${base}\n`;
  }),
  hmpCommand("jit", "show what is compiled", ({ context }) => {
    const { figures } = context.machine.accelerator;
    const per = (a: number, b: number): string => (b === 0 ? "0" : (a / b).toFixed(1));
    const lines: [string, string][] = [
      ["gen code size", `${figures.codeBytes}/${figures.codeLimitBytes}`],
      ["TB count", `${figures.regions}`],
      ["TB avg target size", `${per(figures.compiledInstructions, figures.compiledRegions)} instructions`],
      ["TB avg host size", `${per(figures.codeBytes, figures.regions)} bytes`],
      ["modules", `${figures.modules} (${figures.failedModules} refused)`],
      ["decoded pages", `${figures.decodedPages}/${figures.decodedPageLimit}`],
    ];
    const counts: [string, string][] = [
      ["TB flush count", `${figures.evictions}`],
      ["TB invalidate count", `${figures.invalidations}`],
      ["compiled", `${figures.compiledRegions} in ${figures.batches} modules, ${figures.dropped} dropped`],
      ["region calls", `${figures.regionCalls}`],
      ["region instructions", `${figures.regionInstructions}`],
      ["TLB misses", `${figures.fetchMisses} fetch, ${figures.loadMisses} load, ${figures.storeMisses} store`],
    ];
    const shown = (pairs: typeof lines): string =>
      pairs.map(([name, value]) => `${name.padEnd(20)}${value}\n`).join("");
    const settings = `Accelerator settings:\ntier: ${figures.tier}\n`;
    return `${settings}\nTranslation buffer state:\n${shown(lines)}\nStatistics:\n${shown(counts)}`;
  }),
];
