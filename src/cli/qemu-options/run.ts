// How the machine runs, moves and ends, and what the program prints: -S, -incoming, -no-reboot, -pidfile, -x-report, -d, -help.
import { bool, OptionError, OptionReader, oneOf, str } from "../../object/index.ts";
import { partsOf, refuseParameters, requireValue, type QemuOption } from "./option.ts";
import { versionText } from "./version.ts";

const startPaused: QemuOption = {
  name: "S",
  section: "Running",
  description: "Start paused",
  example: "-S -qmp unix:/tmp/qmp,server=on,wait=off",
  apply(draft) {
    draft.startPaused = true;
  },
};

const incoming: QemuOption = {
  name: "incoming",
  section: "Running",
  argument: "text",
  synopsis: "tcp:HOST:PORT|unix:PATH|file:PATH|fd:NUMBER|defer",
  description:
    "Take in a machine that migrates here, or was saved to a file; the other options are those of its source",
  example: "-incoming unix:/tmp/move",
  differs:
    "no `exec:`, `rdma:` or JSON channels; disks are locked when the source gives the machine over, as with QEMU",
  apply(draft, { subject, argument }) {
    draft.incoming = { subject, uri: argument };
  },
};

const dirtyOracle: QemuOption = {
  name: "x-dirty-oracle",
  section: "Running",
  description:
    "Compare all of RAM with what dirty trackers report, once a second and after each round of a migration; tell the pages that they miss, and who wrote them",
  example: "-x-dirty-oracle",
  differs: "QEMU has no such option",
  apply(draft) {
    draft.dirtyOracle = true;
  },
};

const noReboot: QemuOption = {
  name: "no-reboot",
  section: "Running",
  description: "A reset by the guest ends the program",
  example: "-no-reboot",
  apply(draft) {
    draft.noReboot = true;
  },
};

const noShutdown: QemuOption = {
  name: "no-shutdown",
  section: "Running",
  description: "A power-off by the guest pauses the machine and does not end the program",
  example: "-no-shutdown",
  apply(draft) {
    draft.noShutdown = true;
  },
};

const action: QemuOption = {
  name: "action",
  section: "Running",
  argument: {},
  synopsis: "[reboot=reset|shutdown][,shutdown=poweroff|pause]",
  description: "What happens when the guest reboots or powers off; the same as -no-reboot and -no-shutdown",
  example: "-action reboot=shutdown",
  differs: "`reboot` and `shutdown`; `panic=shutdown` is the only reaction to a panic",
  refusedParameters: { watchdog: "there are no watchdog devices" },
  apply(draft, given) {
    const parsed = partsOf(given);
    refuseParameters(parsed, action.refusedParameters ?? {});
    const reader = new OptionReader(parsed);
    const reboot = reader.optional("reboot", oneOf("reboot", ["reset", "shutdown"]));
    const shutdown = reader.optional("shutdown", oneOf("shutdown", ["poweroff", "pause"]));
    requireValue(parsed, "panic", reader.optional("panic", str), ["shutdown"], "a panic is not seen by the board");
    reader.end();
    if (reboot !== undefined) draft.noReboot = reboot === "shutdown";
    if (shutdown !== undefined) draft.noShutdown = shutdown === "pause";
  },
};

const pidFile: QemuOption = {
  name: "pidfile",
  section: "Running",
  argument: "text",
  synopsis: "FILE",
  description: "Write the process number to FILE while the machine runs",
  example: "-pidfile vm.pid",
  differs: "not locked: a file that names a running process is refused, and the file is removed at the end",
  apply(draft, { subject, argument }) {
    draft.pidFile = { subject, path: argument };
  },
};

const report: QemuOption = {
  name: "x-report",
  section: "Running",
  argument: "text",
  synopsis: "FILE",
  description: "At the end, write to FILE as JSON: how it ended, executed instructions, guest time, digests of memory",
  example: "-icount shift=0 -x-report run.json",
  differs: "QEMU has no such option",
  apply(draft, { subject, argument }) {
    draft.report = { subject, path: argument };
  },
};

const debug: QemuOption = {
  name: "d",
  section: "Running",
  argument: "text",
  synopsis: "guest_errors",
  description: "Report what the guest does wrong with devices (bad registers, malformed rings), a few lines per second",
  example: "-d guest_errors -D errors.log",
  differs: "`guest_errors` only",
  apply(draft, given) {
    if (given.argument === "help" || given.argument === "?") {
      draft.information = "Log items (comma separated):\nguest_errors    what the guest does wrong\n";
      return;
    }
    for (const item of given.argument.split(",")) {
      if (item !== "guest_errors") {
        throw new OptionError("unsupported", `Log item '${item}' is not supported; guest_errors would do`, given);
      }
    }
    draft.guestErrors = true;
  },
};

const logFile: QemuOption = {
  name: "D",
  section: "Running",
  argument: "text",
  synopsis: "FILE",
  description: "Write what -d reports to FILE, not to standard error",
  example: "-d guest_errors -D errors.log",
  apply(draft, { subject, argument }) {
    draft.logFile = { subject, path: argument };
  },
};

const message: QemuOption = {
  name: "msg",
  section: "Running",
  argument: {},
  synopsis: "[timestamp=off][,guest-name=off]",
  description: "The form of error messages, which is fixed",
  example: "-msg timestamp=off",
  differs: "`off` only",
  apply(_draft, given) {
    const parsed = partsOf(given);
    const reader = new OptionReader(parsed);
    for (const key of ["timestamp", "guest-name"]) {
      requireValue(parsed, key, reader.optional(key, bool), [false], "messages have one form");
    }
    reader.end();
  },
};

const version: QemuOption = {
  name: "version",
  section: "Information",
  description: "Print the version and exit",
  example: "-version",
  apply(draft) {
    draft.information = versionText();
  },
};

const help: QemuOption = {
  name: "help",
  aliases: ["h"],
  section: "Information",
  description: "Print this text and exit",
  example: "-help",
  apply(draft) {
    draft.helpWanted = true;
  },
};

export const runOptions: readonly QemuOption[] = [
  startPaused,
  incoming,
  dirtyOracle,
  noReboot,
  noShutdown,
  action,
  pidFile,
  report,
  debug,
  logFile,
  message,
  version,
  help,
];
