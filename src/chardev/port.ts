// Byte streams between a device (the front) and the host (the back). Neither side keeps an array that it was given.

/** The back: stdio, a socket, a file, a ring in memory. */
export interface CharBackend {
  readonly label: string;
  /**
   * Takes what it can now; returns how many bytes. After it took fewer than offered it calls `front.writable()` once
   * there is room again, never from within this call. With nobody at the other end it takes and drops everything, so
   * that a guest does not hang.
   */
  write(bytes: Uint8Array): number;
  /** Gives the back its front, or takes it away. Bytes that waited may be delivered from within this call. */
  attach(front: CharFront | undefined): void;
  /** Tells the back that the front may have room again; bytes held back are delivered then, also from within this call. */
  frontReady(): void;
  /** Idempotent; a closed back takes and drops everything. */
  close(): void;
}

/** The front: a UART, a console port, a monitor. */
export interface CharFront {
  /** How many bytes `receive` would take now. */
  room(): number;
  /** At most `room()` bytes. */
  receive(bytes: Uint8Array): void;
  /** The back, that took fewer bytes than offered, has room again. */
  writable?(): void;
  event?(event: CharEvent): void;
}

/**
 * `opened` and `closed`: somebody is, or is no longer, at the other end. `focusIn` and `focusOut`: input of a shared back
 * now goes to this front, or no longer does.
 */
export type CharEvent = "opened" | "closed" | "break" | "focusIn" | "focusOut";
