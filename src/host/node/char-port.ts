// What the command line needs of a character back end beyond the port.
import type { CharBackend } from "../../chardev/port.ts";

export interface HostCharBackend extends CharBackend {
  /** Resolves when everything taken has reached the operating system, or never can. */
  drained(): Promise<void>;
}

/** Told once when a back end can no longer write; what the guest sends after that is thrown away. */
export type CharErrorSink = (message: string) => void;
