// One machine on the program's own thread: opened, run to its end, everything closed and the terminal restored.
import {
  catchEndSignals,
  createNodeHost,
  createRateLimitedTrace,
  openFileChar,
  silentTrace,
  writePidFile,
  nodeClock,
  type EndSignal,
} from "../host/node/index.ts";
import type { Machine } from "../machine/index.ts";
import type { TracePort } from "../base/index.ts";
import { aboutSubject, withSubject } from "./errors.ts";
import { makeMachine } from "./make-machine.ts";
import { openPlan, type OpenedPlan } from "./open-plan.ts";
import { openMigration } from "./open-migration.ts";
import { openMonitors } from "./open-monitors.ts";
import { writeNamedFile } from "./named-file.ts";
import { machineReport } from "./report.ts";
import type { ProgramPlan } from "./plan.ts";

/** After a signal, output that nobody reads is waited for no longer than this. */
const SIGNAL_DRAIN_MS = 1000;

export interface RunIo {
  /** A line for the operator: warnings, notices, what ended the machine. */
  readonly line: (text: string) => void;
  /** The machine is made and has not begun. */
  readonly made?: (machine: Machine, opened: OpenedPlan) => void;
}

/** Runs to the machine's end; resolves with the exit status. Rejects with a VmError when it cannot be made. */
export async function runMachine(plan: ProgramPlan, io: RunIo): Promise<number> {
  for (const warning of plan.warnings) io.line(`warning: ${warning}`);
  const closers: (() => void | Promise<void>)[] = [];
  const stop = new AbortController();
  let machine: Machine | undefined;
  let signalled: EndSignal | undefined;
  /** Why a machine that was to come has not. */
  let failure: Error | undefined;
  const signals = catchEndSignals((signal) => {
    signalled = signal;
    stop.abort();
    machine?.quit("host-signal");
  });
  closers.push(() => signals.release());
  try {
    const { pidFile } = plan;
    if (pidFile !== undefined) {
      const file = withSubject(pidFile.subject, () => writePidFile(pidFile.path));
      closers.push(() => file.remove());
    }
    const host = createNodeHost({ trace: openTrace(plan, io, closers) });
    closers.push(() => host.close());
    const opened = await openPlan(plan.machine, {
      warn: (text) => io.line(`warning: ${text}`),
      onWaiting: (address) => io.line(`waiting for a connection on ${address}`),
      onQuit: () => machine?.quit("host-quit"),
      signal: stop.signal,
    });
    closers.push(() => opened.close());
    machine = makeMachine(plan.machine, opened, host, (text) => io.line(`warning: ${text}`));
    const made = machine;
    closers.push(() => made.close());
    const migration = openMigration(made, {
      host,
      startsOnArrival: !plan.machine.startPaused,
      withOracle: plan.dirtyOracle,
      line: io.line,
    });
    const takeIn = (uri: string): void =>
      void migration.accept(uri).catch((error: unknown) => {
        failure = aboutSubject(plan.incoming?.subject ?? "-incoming", error) as Error;
        made.quit("host-quit");
      });
    const { config, chardevs, share } = opened;
    const monitored = { machine: made, config, host, chardevs, share, migration, onIncoming: takeIn };
    const monitor = openMonitors(plan, monitored);
    closers.push(() => monitor.close());
    if (plan.dumpDeviceTree !== undefined) {
      writeNamedFile(plan.dumpDeviceTree, made.boardDeviceTree);
      return 0;
    }
    io.made?.(made, opened);
    // Nothing else keeps the process alive while the machine is paused.
    const keepAlive = setInterval(() => {}, 0x7fff_ffff);
    closers.push(() => clearInterval(keepAlive));
    if (signalled !== undefined) made.quit("host-signal");
    else if (plan.incoming !== undefined) {
      if (plan.incoming.uri !== "defer") takeIn(plan.incoming.uri);
    } else if (!plan.machine.startPaused) made.start();
    const exit = await made.ended;
    if (failure !== undefined) throw failure;
    if (plan.report !== undefined) {
      writeNamedFile(plan.report, `${JSON.stringify({ exit, ...machineReport(made) }, undefined, 2)}\n`);
    }
    await Promise.race([opened.drained(), drainLimit(signalled !== undefined)]);
    if (exit.message !== undefined) io.line(exit.message);
    if (signalled !== undefined) io.line(`terminating on signal ${signalled}`);
    return exit.status;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function openTrace({ guestErrors }: ProgramPlan, io: RunIo, closers: (() => void)[]): TracePort {
  if (guestErrors === undefined) return silentTrace;
  if (guestErrors.logFile === undefined) return createRateLimitedTrace({ clock: nodeClock, line: io.line });
  const { subject, path } = guestErrors.logFile;
  const onError = (text: string): void => io.line(`warning: ${subject}: ${text}`);
  const file = withSubject(subject, () => openFileChar({ label: "log", path, append: false, onError }));
  closers.push(() => file.close());
  return createRateLimitedTrace({ clock: nodeClock, line: (text) => file.write(Buffer.from(`${text}\n`)) });
}

function drainLimit(isSignalled: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (isSignalled) setTimeout(resolve, SIGNAL_DRAIN_MS).unref();
  });
}
