import type { DeviceConfig } from "../port.ts";

/** A device's own properties, without what says where it is plugged in. */
export interface Given {
  readonly properties: DeviceConfig["properties"];
  /** For errors. */
  readonly subject: string;
}
