import type { MigrationControl } from "../../migration/index.ts";
import type { MonitorContext } from "../context.ts";
import { QmpError } from "../errors.ts";

/** Throws QmpError where nothing lends channels. */
export function controlOf({ migration }: MonitorContext): MigrationControl {
  if (migration === undefined) throw new QmpError("This machine cannot be migrated");
  return migration;
}
