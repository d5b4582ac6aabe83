// A machine's monitors, on the character devices that the plan names.
import { assert } from "../base/index.ts";
import type { CharBackend } from "../chardev/index.ts";
import type { NodeHost } from "../host/node/index.ts";
import type { Machine, MachineConfig } from "../machine/index.ts";
import type { MigrationControl } from "../migration/index.ts";
import { Monitor } from "../monitor/index.ts";
import type { OpenedPlan } from "./open-plan.ts";
import type { ProgramPlan } from "./plan.ts";
import { packageVersion } from "./qemu-options/version.ts";

export interface Monitored {
  readonly machine: Machine;
  readonly config: MachineConfig;
  readonly host: Pick<NodeHost, "wallClock">;
  readonly chardevs: ReadonlyMap<string, CharBackend>;
  readonly share: OpenedPlan["share"];
  readonly migration: MigrationControl;
  readonly onIncoming: (uri: string) => void;
}

export function openMonitors(plan: ProgramPlan, monitored: Monitored): Monitor {
  const { machine, config, host, chardevs, share, migration, onIncoming } = monitored;
  const monitor = new Monitor({
    machine,
    config,
    migration,
    onIncoming,
    wallClock: host.wallClock,
    productVersion: packageVersion(),
    processId: process.pid,
    // As any broken invariant: the process ends with its stack.
    onFailure: (error) =>
      void setImmediate(() => {
        throw error;
      }),
  });
  for (const { chardev, mode, pretty, isHidden } of plan.monitors) {
    const back = isHidden ? share(chardev, `${chardev}.monitor`) : chardevs.get(chardev);
    assert(back !== undefined, "a monitor's character device was opened", chardev);
    if (mode === "control") monitor.serve(back, { pretty });
    else monitor.serveReadline(back, { isHidden });
  }
  return monitor;
}
