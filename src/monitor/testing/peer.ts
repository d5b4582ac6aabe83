// A machine and a peer, as far as monitors see them.
import type { CharBackend, CharFront } from "../../chardev/index.ts";
import { MachineError } from "../../machine/index.ts";
import type { HostQuit, MachineObserver, RunState } from "../../machine/index.ts";

/** A machine as far as monitors see one. */
export class FakeMachine {
  runState: RunState = "prelaunch";
  readonly done: string[] = [];
  #observer: MachineObserver = {};

  observe(observer: MachineObserver): () => void {
    this.#observer = observer;
    return () => (this.#observer = {});
  }

  start(): void {
    this.#to("running");
  }

  async resume(): Promise<void> {
    this.start();
  }

  async stop(): Promise<void> {
    this.#to("paused");
  }

  addDevice(config: object): void {
    this.done.push(JSON.stringify(config));
  }

  removeDevice(id: string): void {
    if (id !== "d0") throw new MachineError("unknownDevice", "no such device");
    this.#observer.deviceRemoved?.(id);
  }

  reset(): void {
    this.#observer.reset?.(false);
  }

  quit(cause: HostQuit): void {
    this.done.push(cause);
    this.#observer.shutdown?.({ cause, status: 0 });
  }

  #to(state: RunState): void {
    this.runState = state;
    this.#observer.runState?.(state);
  }
}

/** A peer at the other end of a character device. */
export class Peer implements CharBackend {
  readonly label: string = "peer";
  front: CharFront | undefined;
  text = "";
  /** How many bytes it takes at most in one write. */
  takes: number = Infinity;

  write(bytes: Uint8Array): number {
    const part = bytes.subarray(0, Math.min(bytes.length, this.takes));
    this.text += new TextDecoder().decode(part);
    return part.length;
  }

  attach(front: CharFront | undefined): void {
    this.front = front;
  }

  frontReady(): void {}

  close(): void {}

  say(text: string): void {
    this.front!.receive(new TextEncoder().encode(text));
  }

  /** What has come since the last time, a message each. */
  async heard(): Promise<Record<string, unknown>[]> {
    await settle();
    const lines = this.text.split("\r\n").filter((line) => line !== "");
    this.text = "";
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async ask(request: object): Promise<unknown> {
    this.say(JSON.stringify(request));
    return (await this.heard()).at(-1);
  }
}

/** Lets what was begun come to its end. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 80; i++) await Promise.resolve();
}
