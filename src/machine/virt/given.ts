import type { DeviceConfig } from "../port.ts";

/** A device's own properties, without what says where it is plugged in. */
export interface Given {
  readonly properties: DeviceConfig["properties"];
  /** For errors. */
  readonly subject: string;
  /** Its own name, by which back ends know who has them. */
  readonly name: string;
}
