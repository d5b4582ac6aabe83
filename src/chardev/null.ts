// `-chardev null`: nobody is there.
import type { CharBackend } from "./port.ts";

export class NullChar implements CharBackend {
  readonly label: string;

  constructor(label: string) {
    this.label = label;
  }

  write(bytes: Uint8Array): number {
    return bytes.length;
  }

  attach(): void {}
  frontReady(): void {}
  close(): void {}
}
