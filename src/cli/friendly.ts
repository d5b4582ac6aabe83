// `ratite`: the friendly program. `ratite run` boots a guest with one word; QEMU's options come after `--`.
import { catchEndSignals, signalExitStatus, type EndSignal } from "../host/node/index.ts";
import { convert, intRange, sizeInMebibytes } from "../object/index.ts";
import { parseArguments, type Arguments } from "./arguments.ts";
import { CliError, errorLine } from "./errors.ts";
import { fetchWithProgress, guestCommand, GUEST_SOURCE } from "./guest-commands.ts";
import { hostCommand } from "./host/commands.ts";
import { LAB_HELP, labCommand } from "./lab/commands.ts";
import { nearestName } from "../base/index.ts";
import type { ConfigDraft } from "./qemu-options/draft.ts";
import { parseQemuOptions } from "./qemu-options/parse.ts";
import { versionText } from "./qemu-options/version.ts";
import { runMachine } from "./run-machine.ts";
import { addAssignedNvme, assignedNode, NVME_HOST, type AssignedDisk } from "./assigned-nvme.ts";
import { assignmentLine } from "./assignment-line.ts";
import type { OpenedPlan } from "./open-plan.ts";
import type { Machine } from "../machine/index.ts";
import { StatusLine } from "./status-line.ts";

const PROGRAM = "ratite";
const COMMANDS = ["run", "guest", "host", "lab", "help", "version"];
const RUN_OPTIONS = {
  ...GUEST_SOURCE,
  ...({ memory: "text", cpus: "text", drive: "list", nvme: "list", "no-nvme": "flag", append: "text" } as const),
} as const;
const GUEST_MEMORY_BYTES = 512 * 2 ** 20;
/** Tells our guests that nobody waits for the disk: the shell does not either (`rcS` of the initramfs). */
const LATE_NVME = "ratite.late=nvme";
/** Mostly holes. */
const SCRATCH_BYTES = 256 * 2 ** 20;

const HELP = `usage: ratite COMMAND [options]

  ratite run [GUEST] [options] [-- QEMU-OPTIONS]
        Boot a guest in this terminal; it is fetched from Debian's archive first
        when it is not in the cache. GUEST is debian (the default),
        debian-backports (a newer kernel) or debian-installer. Ctrl-A X ends.
          --memory SIZE     RAM, in MiB or with a suffix (default 512M)
          --cpus N          harts (default 1)
          --drive FILE      a raw disk image as the next disk (/dev/vda, vdb...)
          --nvme FILE       a raw disk image as NVMe (/dev/nvme0n1...), assigned
                            through a software host's IOMMUFD; without it the
                            guest has a scratch disk there, of 256 MiB
          --no-nvme         without that one
          --append TEXT     more words for the kernel's command line
        Example: ratite run
        Example: ratite run debian --memory 1G --cpus 2 --drive disk.img
        Example: ratite run debian --nvme disk.img
        Example: ratite run -- -no-reboot -device virtio-rng-device

  ratite guest fetch [GUEST]     Example: ratite guest fetch debian-backports
  ratite guest list              Example: ratite guest list
  ratite guest remove GUEST      Example: ratite guest remove debian
        For run and fetch:
          --release NAME    another release of the guest; guest list has them
          --mirror URL      another Debian archive than apt's
          --keyring FILE    the keys that verify it
          --refresh         fetch anew though it is in the cache

  ratite host exec -- PROGRAM    Run a Linux program on a software /dev/iommu.
  ratite host serve --socket PATH
  ratite host show FILE          Draw a described host's units, groups, devices.
  ratite host check FILE         Say which attachment or migration is blocked.
        Example: ratite host exec -- ./my-vfio-tool
        ratite host --help has the options.

  ratite lab migrate             Move a guest with an assigned disk from process
        to process while it works; ratite lab --help has the options.

  ratite --help, ratite --version

ratite-system-riscv64 takes QEMU's command line: ratite-system-riscv64 -help.
`;

/** Resolves with the exit status. */
export async function ratiteMain(args: readonly string[]): Promise<number> {
  const status = new StatusLine(process.stderr);
  try {
    const [command = "", ...rest] = args;
    if (command === "run") {
      if (asksForHelp(rest)) return print(HELP);
      return await run(rest, status);
    }
    if (command === "guest") {
      if (asksForHelp(rest)) return print(HELP);
      return await interruptible(async (signal) => print(await guestCommand(rest, status, signal)));
    }
    if (command === "host") return await hostCommand(rest);
    if (command === "lab") {
      if (asksForHelp(rest)) return print(LAB_HELP);
      return await labCommand(rest, status, interruptible);
    }
    if (/^(?:--?version|-V|version)$/.test(command)) return print(versionText());
    if (/^(?:--?help|-h|help)$/.test(command)) return print(HELP);
    if (command === "") {
      process.stderr.write(HELP);
      return 1;
    }
    const nearest = nearestName(command, COMMANDS);
    const would = nearest === undefined ? "ratite --help lists the commands" : `did you mean 'ratite ${nearest}'?`;
    throw new CliError("unknownCommand", `Unknown command; ${would}`, { subject: command });
  } catch (error) {
    status.line(errorLine(PROGRAM, error));
    return 1;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function asksForHelp(args: readonly string[]): boolean {
  const separator = args.indexOf("--");
  const own = separator < 0 ? args : args.slice(0, separator);
  return own.includes("--help") || own.includes("-h");
}

async function run(words: readonly string[], status: StatusLine): Promise<number> {
  const args = parseArguments(words, RUN_OPTIONS);
  const [guest = "debian", extra] = args.words;
  if (extra !== undefined) throw new CliError("badUsage", "One guest at a time", { subject: extra });
  // Mistakes in the options are told before anything is fetched.
  checkOptions(args);
  let plan: ReturnType<typeof parseQemuOptions> | undefined;
  const code = await interruptible(async (signal) => {
    const files = await fetchWithProgress(guest, args, status, signal);
    status.line(`${files.name} ${files.release}, Linux ${files.kernelRelease}. To leave: Ctrl-A X`);
    plan = parseQemuOptions(args.rest, (draft) => prepare(draft, args, files.kernelPath, files.initrdPath));
    return 0;
  });
  if (plan === undefined || code !== 0) return code;
  if (plan.kind === "information") return print(plan.text);
  const line = (text: string): void => status.line(`${PROGRAM}: ${text}`);
  return runMachine(plan.plan, { line, made: ({ assignments }, opened) => tellAssigned(assignments, opened, line) });
}

function tellAssigned(facts: Machine["assignments"], { imagePaths }: OpenedPlan, line: (text: string) => void): void {
  for (const fact of facts) {
    const node = fact.iommufd === NVME_HOST ? assignedNode(fact.device) : undefined;
    line(assignmentLine(fact, node === undefined ? undefined : (imagePaths.get(node) ?? "a disk in memory")));
  }
}

function checkOptions(args: Arguments): void {
  parseQemuOptions(args.rest, (draft) => prepare(draft, args, "", ""));
}

function prepare(draft: ConfigDraft, args: Arguments, kernel: string, initrd: string): void {
  const memory = args.text("memory");
  const cpus = args.text("cpus");
  const append = args.text("append");
  draft.memoryBytes =
    memory === undefined ? GUEST_MEMORY_BYTES : convert(sizeInMebibytes, "memory", memory, `--memory ${memory}`);
  if (cpus !== undefined) draft.smp = convert(intRange("uint32", 1, 512), "cpus", cpus, `--cpus ${cpus}`);
  draft.kernel = { subject: "the guest's kernel", path: kernel };
  draft.initrd = { subject: "the guest's initrd", path: initrd };
  const disks = nvmeDisks(args);
  const isScratch = disks.some(({ image }) => typeof image === "object" && "scratchBytes" in image);
  const text = ["console=ttyS0", ...(isScratch ? [LATE_NVME] : []), ...(append === undefined ? [] : [append])].join(
    " ",
  );
  draft.commandLine = { subject: "--append", text };
  draft.nographic = true;
  for (const [index, image] of args.list("drive").entries()) {
    const subject = `--drive ${image}`;
    const nodeName = `disk${index}`;
    draft.blockNodes.push({ nodeName, subject, image, formatGiven: true, readOnly: false, autoReadOnly: false });
    draft.devices.push({ driver: "virtio-blk-device", properties: { drive: nodeName }, subject });
  }
  addAssignedNvme(draft, disks);
}

function nvmeDisks(args: Arguments): readonly AssignedDisk[] {
  const images = args.list("nvme");
  const isRefused = args.flag("no-nvme");
  if (isRefused && images.length > 0) {
    throw new CliError("badUsage", "--no-nvme leaves out what --nvme asks for", { subject: `--nvme ${images[0]}` });
  }
  // A machine that comes has what its source has, which is for the caller to say.
  if (images.length > 0) return images.map((image) => ({ subject: `--nvme ${image}`, image, readOnly: false }));
  if (isRefused || args.rest.some((word) => /^--?incoming$/.test(word))) return [];
  return [{ subject: "The scratch disk", image: { scratchBytes: SCRATCH_BYTES }, readOnly: false }];
}

/** Runs `body` with a signal that Ctrl-C and its relatives abort; resolves with 128 + the signal's number then. */
async function interruptible(body: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  let caught: EndSignal | undefined;
  const signals = catchEndSignals((signal) => {
    caught = signal;
    stop.abort(new CliError("badUsage", `interrupted by ${signal}`));
  });
  try {
    return await body(stop.signal);
  } catch (error) {
    if (caught === undefined) throw error;
    process.stderr.write(`${PROGRAM}: interrupted\n`);
    return signalExitStatus(caught);
  } finally {
    signals.release();
  }
}
