// Where a dry run sends to: nowhere.
import type { MigrationChannel } from "./port.ts";

export const dryChannel: MigrationChannel = {
  name: "dry run",
  isDuplex: false,
  unwrittenBytes: 0,
  write: async () => undefined,
  read: async () => false,
  flush: async () => undefined,
  close: () => undefined,
};
