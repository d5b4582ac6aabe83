// `npm run soak:jit`: a Debian guest that works for minutes under the region compiler, watched from outside.
//
//     npm run soak:jit -- --minutes 10               a shell loop that starts programs: memory must keep its bound
//     npm run soak:jit -- --minutes 10 --mixed       checksums, compression, floating point, processes, timers, while the
//                                                    machine goes from the compiler to the interpreter and back
//     … --seed 7 --harts 4 --tb-size 16
//
// Ends with 0 when the guest found every result right and its kernel has nothing to complain of, and compiled code kept
// its bound. What is seeded: the numbers that the guest works with, and when the machine changes its tier.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRng } from "../src/base/index.ts";
import { openPlan } from "../src/cli/open-plan.ts";
import { parseQemuOptions } from "../src/cli/qemu-options/parse.ts";
import { createNodeHost } from "../src/host/node/index.ts";
import { createMachine, type Machine } from "../src/machine/index.ts";
import { unattendedGuest } from "./support/unattended-guest.ts";

const REPORT_EVERY_MS = 15_000;
const BOOT_LIMIT_MS = 300_000;
/** The end may be so much later than asked for: a round of work takes its time. */
const GRACE_MS = 240_000;
/** What the engine's own collections leave lying about for a while. */
const MOST_GROWTH_BYTES = 64 * 2 ** 20;
/** Largest step over the bound: a batch is added as a whole. */
const BOUND_SLACK = 1.1;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    mixed: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    harts: { type: "string", default: "2" },
    "tb-size": { type: "string", default: "128" },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: a number above 0 would do`);
const rng = new SeededRng(BigInt(values.seed));

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const lines = (last: number): string => Array.from({ length: last }, (_, i) => `${i + 1}\n`).join("");
const hashOf = (name: string, text: string): string => createHash(name).update(text).digest("hex");

/** x = r x (1 - x), as the guest's awk computes it in doubles. */
function logistic(rate: number, rounds: number): string {
  let x = 0.5;
  for (let i = 0; i < rounds; i++) x = rate * x * (1 - x);
  return x.toPrecision(12);
}

/** A job that is done again and again: `$n` counts its rounds. */
const job = (name: string, round: string): string =>
  `(n=0; while going; do ${round}; n=$((n+1)); done; echo "soak: ${name} $n rounds") &\n`;
const equal = (name: string, command: string, expected: string): string =>
  `r=$(${command}); [ "$r" = "${expected}" ] || echo "SOAK-FAIL ${name}: $r, not ${expected}"`;

function mixedWork(): string {
  const size = 20_000 + rng.below(20_000);
  const text = lines(size);
  const rounds = 5000 + rng.below(5000);
  const rate = 3.6 + rng.below(390) / 1000;
  const md5 = hashOf("md5", text);
  const sha = hashOf("sha256", text);
  const sum = `awk 'BEGIN{x=0.5;for(i=0;i<${rounds};i++)x=${rate}*x*(1-x);printf "%.12g",x}'`;
  return [
    job("checksums", equal("md5", `seq 1 ${size} | md5sum | cut -d' ' -f1`, md5)),
    job("compression", equal("gzip", `seq 1 ${size} | gzip | gunzip | sha256sum | cut -d' ' -f1`, sha)),
    job("floating point", equal("awk", sum, String(Number(logistic(rate, rounds))))),
    job(
      "processes",
      equal("fork", "for i in 1 2 3 4 5 6 7 8 9; do /bin/busybox true && echo -n $i; done", "123456789"),
    ),
    job("timers", 's=$(now); sleep 1; e=$(($(now)-s)); [ $e -ge 1 ] && [ $e -le 60 ] || echo "SOAK-FAIL timer: $e s"'),
  ].join("");
}

const churn = job(
  "programs",
  "/bin/busybox true; ls -l /proc >/dev/null; seq 1 50 | sort -r | head -n 3 >/dev/null; sh -c 'echo $((1+1))' >/dev/null",
);

const SCRIPT = `now() { cut -d. -f1 /proc/uptime; }
end=$(($(now) + ${Math.round(minutes * 60)}))
going() { [ $(now) -lt $end ]; }
echo "soak: begins"
${values.mixed ? mixedWork() : churn}wait
dmesg | grep -iE 'oops|BUG|lockup|stall|call trace|segfault|unhandled' | sed 's/^/SOAK-FAIL dmesg: /'
echo "soak: ends"
poweroff
`;

const folder = mkdtempSync(join(tmpdir(), "ratite-soak-"));
const consolePath = join(folder, "console");

function options(kernel: string, initrd: string): string[] {
  const machine = ["-M", "virt", "-smp", values.harts, "-m", "512M", "-accel", `jit,tb-size=${values["tb-size"]}`];
  const boot = ["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0"];
  return [...machine, ...boot, "-display", "none", "-serial", `file:${consolePath}`];
}

/** Resident bytes: of the machine's memory, which nothing else comes near, and of everything else, the engine's code too. */
function resident(): { readonly machine: number; readonly rest: number } {
  const mappings = readFileSync("/proc/self/smaps", "latin1").matchAll(/^Rss: +(\d+) kB/gm);
  const bytes = Array.from(mappings, ([, rss]) => Number(rss) * 1024);
  const machine = Math.max(...bytes);
  return { machine, rest: bytes.reduce((sum, each) => sum + each, 0) - machine };
}

function report(machine: Machine, sinceMs: number, switches: number): void {
  const bytes = resident();
  const { tier, regions, modules, codeBytes, evictions, dropped, failedModules } = machine.accelerator.figures;
  const facts = {
    "RSS of the machine's memory": mebibytes(bytes.machine),
    "of the rest": mebibytes(bytes.rest),
    regions,
    modules,
    code: mebibytes(codeBytes),
    dropped,
    "pages evicted": evictions,
    ...(failedModules > 0 ? { "modules refused": failedModules } : {}),
    ...(values.mixed ? { tier, switches } : {}),
  };
  const text = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  console.log(`${String(Math.round(sinceMs / 1000)).padStart(5)} s: ${text.join(", ")}`);
}

/** Runs the machine to its end; answers what went wrong as far as the host can tell. */
async function soak(machine: Machine): Promise<string[]> {
  const wrong: string[] = [];
  const begun = performance.now();
  let switches = 0;
  let steadyBytes = 0;
  const timers = new Set<NodeJS.Timeout>();
  const since = (): number => performance.now() - begun;
  const watch = setInterval(() => {
    report(machine, since(), switches);
    const { codeBytes, codeLimitBytes } = machine.accelerator.figures;
    if (codeBytes > codeLimitBytes * BOUND_SLACK)
      wrong.push(`code of ${codeBytes} bytes is over its bound, ${codeLimitBytes}`);
    if (steadyBytes === 0 && since() > (minutes * 60_000) / 2) steadyBytes = resident().rest;
  }, REPORT_EVERY_MS);
  timers.add(watch);
  const change = (): void => {
    machine.accelerator.tier = machine.accelerator.tier === "jit" ? "interpreter" : "jit";
    switches++;
    timers.add(setTimeout(change, 100 + rng.below(2900)));
  };
  if (values.mixed) timers.add(setTimeout(change, 1000));
  const limit = setTimeout(
    () => {
      wrong.push("the guest did not come to its end in time");
      machine.quit("host-quit");
    },
    minutes * 60_000 + BOOT_LIMIT_MS + GRACE_MS,
  );
  timers.add(limit);
  machine.start();
  const { cause, message } = await machine.ended;
  for (const timer of timers) clearTimeout(timer);
  report(machine, since(), switches);
  if (cause !== "guest-shutdown") wrong.push(message ?? `the machine ended by ${cause}`);
  const growth = resident().rest - steadyBytes;
  if (steadyBytes > 0) console.log(`the rest in the second half: ${growth > 0 ? "+" : ""}${mebibytes(growth)}`);
  if (steadyBytes > 0 && growth > MOST_GROWTH_BYTES) wrong.push("memory went on growing");
  return wrong;
}

function complaints(): string[] {
  const text = readFileSync(consolePath, "latin1").replaceAll("\r", "");
  console.log(text.match(/^soak: .*$/gm)?.join("\n") ?? "the guest said nothing");
  const found: string[] = text.match(/^.*(?:SOAK-FAIL|Kernel panic|Oops|BUG:).*$/gm) ?? [];
  if (!text.includes("soak: ends")) found.push(`the guest did not end its work:\n${text.slice(-2000)}`);
  return found;
}

try {
  const guest = await unattendedGuest(undefined, SCRIPT);
  const initrd = join(folder, "initrd");
  writeFileSync(initrd, guest.initrd);
  console.log(`Linux ${guest.kernelRelease}, ${values.harts} harts, seed ${values.seed}, ${values.minutes} minutes`);
  const parsed = parseQemuOptions(options(guest.kernelPath, initrd));
  if (parsed.kind === "information") throw new Error(parsed.text);
  const opened = await openPlan(parsed.plan.machine, { warn: console.error, onQuit: () => {}, onWaiting: () => {} });
  const host = createNodeHost();
  const { config, chardevs, blockNodes } = opened;
  const machine = createMachine(config, { ...host, chardevs, blockNodes });
  const wrong = await soak(machine);
  await opened.drained();
  await machine.close();
  await opened.close();
  host.close();
  wrong.push(...complaints());
  for (const text of wrong) console.log(text);
  console.log(wrong.length === 0 ? "soak: nothing went wrong" : `soak: ${wrong.length} things went wrong`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
