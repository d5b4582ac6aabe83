// Migration of a machine of this process, over this platform's channels.
import { acceptMigration, connectMigration, packing } from "../host/node/index.ts";
import type { Machine } from "../machine/index.ts";
import { MigrationControl, type MigrationHost } from "../migration/index.ts";
import { reasonText } from "../vfio/index.ts";

export interface MigrationOptions {
  readonly host: Pick<MigrationHost, "timers" | "yield">;
  readonly startsOnArrival: boolean;
  readonly withOracle: boolean;
  readonly line: (text: string) => void;
}

export function openMigration(
  machine: Machine,
  { host, startsOnArrival, withOracle, line }: MigrationOptions,
): MigrationControl {
  return new MigrationControl(
    {
      machine: machine.movable,
      blockedReasons: () => [...new Set(machine.migrationBlockers.map(reasonText))],
      handedOver: () => machine.handedOver(),
      arrived: () => machine.arrived(),
      startsOnArrival,
      withOracle,
    },
    {
      timers: host.timers,
      yield: host.yield,
      packing,
      connect: connectMigration,
      accept: (uri) => acceptMigration(uri, (where) => line(`waiting for a machine on ${where}`)),
    },
  );
}
