// Starting, stopping, resetting and ending the machine, and the events that tell of it.
import { QmpError } from "../errors.ts";
import { command, type Command } from "../schema/command.ts";
import { event, type EventType } from "../schema/event.ts";
import { bool, enumType, struct } from "../schema/types.ts";

const RunState = enumType("RunState", [
  "debug",
  "inmigrate",
  "internal-error",
  "io-error",
  "paused",
  "postmigrate",
  "prelaunch",
  "finish-migrate",
  "restore-vm",
  "running",
  "save-vm",
  "shutdown",
  "suspended",
  "watchdog",
  "guest-panicked",
  "colo",
]);
const ShutdownCause = enumType("ShutdownCause", [
  "none",
  "host-error",
  "host-qmp-quit",
  "host-qmp-system-reset",
  "host-signal",
  "host-ui",
  "guest-shutdown",
  "guest-reset",
  "guest-panic",
  "subsystem-reset",
  "snapshot-load",
]);
const StatusInfo = struct("StatusInfo", { running: bool, status: RunState });
const CauseInfo = struct("q_obj_SHUTDOWN-arg", { guest: bool, reason: ShutdownCause });

export interface CauseData {
  readonly guest: boolean;
  readonly reason: string;
}

export const stopEvent: EventType<object> = event("STOP");
export const resumeEvent: EventType<object> = event("RESUME");
export const powerdownEvent: EventType<object> = event("POWERDOWN");
export const shutdownEvent: EventType<CauseData> = event("SHUTDOWN", CauseInfo);
export const resetEvent: EventType<CauseData> = event("RESET", CauseInfo);

export const runControlCommands: readonly Command[] = [
  command("query-status", {
    returns: StatusInfo,
    run: ({ machine }) => ({ running: machine.runState === "running", status: machine.runState }),
  }),
  command("stop", {
    run: async ({ machine, migration }) => {
      if (machine.runState !== "inmigrate" || migration === undefined) return machine.stop();
      migration.startsOnArrival = false;
    },
  }),
  command("cont", {
    run: async ({ machine, migration }) => {
      if (machine.runState === "inmigrate" && migration !== undefined) {
        migration.startsOnArrival = true;
        return;
      }
      if (machine.runState === "shutdown" || machine.runState === "internal-error") {
        throw new QmpError("Resetting the Virtual Machine is required");
      }
      await machine.resume();
    },
  }),
  command("system_reset", { run: ({ machine }) => machine.reset() }),
  // The board has no power button: the guest does not learn of it, as with QEMU's.
  command("system_powerdown", { run: ({ events }) => events.emit(powerdownEvent, {}) }),
  command("quit", { run: ({ machine }) => machine.quit("host-qmp-quit") }),
];
