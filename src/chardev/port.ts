// Byte streams between a device (the front) and the host (the back).

/** The back: stdio, a socket, a file, a ring in memory. The front attaches itself once. */
export interface CharBackend {
  readonly label: string;
  /** Takes what it can now; returns how many bytes. The rest is offered again after `front.writable()`. */
  write(bytes: Uint8Array): number;
  attach(front: CharFront | undefined): void;
  /** Tells the back that the front may have room again; bytes held back are delivered then. */
  frontReady(): void;
  close(): void;
}

/** The front: a UART, a console port, a monitor. */
export interface CharFront {
  /** How many bytes `receive` would take now. */
  room(): number;
  receive(bytes: Uint8Array): void;
  writable?(): void;
  event?(event: "opened" | "closed" | "break"): void;
}
