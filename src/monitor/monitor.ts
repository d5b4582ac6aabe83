// A machine's monitors: one set of commands, events from the machine, any number of clients.
import type { CharBackend } from "../chardev/port.ts";
import type { MachineExit } from "../machine/index.ts";
import { allCommands } from "./commands/index.ts";
import { deviceDeletedEvent, peripheralPath } from "./commands/devices.ts";
import { migrationEvent, migrationPassEvent, vfioMigrationEvent } from "./commands/migration.ts";
import { resetEvent, resumeEvent, shutdownEvent, stopEvent } from "./commands/run-control.ts";
import type { MonitorContext } from "./context.ts";
import { EventHub } from "./event-hub.ts";
import { HmpFront } from "./hmp/front.ts";
import { QmpFront } from "./qmp/front.ts";
import { capabilitiesCommand } from "./qmp/session.ts";
import type { Command } from "./schema/command.ts";

export interface MonitorOptions extends Omit<MonitorContext, "events" | "tellsMigration"> {
  readonly onFailure: (error: unknown) => void;
}

export class Monitor {
  readonly context: MonitorContext;
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #fronts: { close(): void }[] = [];
  readonly #onFailure: (error: unknown) => void;
  readonly #endObserving: () => void;

  constructor({ onFailure, ...rest }: MonitorOptions) {
    const events = new EventHub(rest.wallClock);
    this.context = { ...rest, events, tellsMigration: { current: false } };
    this.#onFailure = onFailure;
    this.#commands = new Map(allCommands([capabilitiesCommand]).map((each) => [each.name, each]));
    const ends = [observe(this.context), observeMigration(this.context)];
    this.#endObserving = () => ends.forEach((end) => end());
  }

  /** Serves QMP on a character device. */
  serve(back: CharBackend, options: { readonly pretty?: boolean } = {}): void {
    const { context } = this;
    this.#fronts.push(
      new QmpFront(back, { context, commands: this.#commands, onFailure: this.#onFailure, ...options }),
    );
  }

  /** Serves the monitor for people. */
  serveReadline(back: CharBackend, { isHidden = false }: { readonly isHidden?: boolean } = {}): void {
    const { context } = this;
    this.#fronts.push(new HmpFront(back, { context, commands: this.#commands, onFailure: this.#onFailure, isHidden }));
  }

  close(): void {
    this.#endObserving();
    for (const front of this.#fronts) front.close();
    this.#fronts.length = 0;
  }
}

const REASONS = {
  "guest-shutdown": "guest-shutdown",
  "guest-reset": "guest-reset",
  "guest-panic": "guest-panic",
  "host-quit": "host-ui",
  "host-signal": "host-signal",
  "host-qmp-quit": "host-qmp-quit",
  "internal-error": "host-error",
} as const satisfies Record<MachineExit["cause"], string>;

function observeMigration({ migration, events, tellsMigration }: MonitorContext): () => void {
  if (migration === undefined) return () => undefined;
  return migration.listen({
    phase(status) {
      if (tellsMigration.current) events.emit(migrationEvent, { status });
    },
    round(round) {
      if (tellsMigration.current) events.emit(migrationPassEvent, { pass: round.number });
    },
  });
}

function observe({ machine, config, events }: MonitorContext): () => void {
  let wasRunning = machine.runState === "running";
  return machine.observe({
    runState(state) {
      const isRunning = state === "running";
      if (isRunning !== wasRunning && state !== "shutdown") events.emit(isRunning ? resumeEvent : stopEvent, {});
      wasRunning = isRunning;
    },
    reset: (isGuest) =>
      events.emit(resetEvent, { guest: isGuest, reason: isGuest ? "guest-reset" : "host-qmp-system-reset" }),
    deviceRemoved: (id) => events.emit(deviceDeletedEvent, { device: id, path: peripheralPath(id) }),
    deviceState: (id, state) =>
      events.emit(vfioMigrationEvent, {
        "device-id": typeof id === "string" ? id : "",
        "qom-path": typeof id === "string" ? peripheralPath(id) : `/machine/peripheral-anon/device[${id}]`,
        "device-state": state,
      }),
    // A machine that ends does not stop as well; one that stays to be looked at does.
    shutdown: ({ cause }) => {
      const guest = cause.startsWith("guest-");
      events.emit(shutdownEvent, { guest, reason: REASONS[cause] });
      if (guest && config.noShutdown) events.emit(stopEvent, {});
    },
  });
}
