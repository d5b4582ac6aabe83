// One port of a virtio console: the character front between a back end and a pair of queues.
// No buffer of the guest is held between calls: what is taken and not finished is put back.
import type { CharBackend, CharEvent, CharFront } from "../../../chardev/port.ts";
import type { SplitQueue } from "../queue.ts";
import type { WorkBudget } from "../../work-budget.ts";
import type { SerialPortState } from "./state.ts";

/** What a port asks of its device. */
export interface PortOwner {
  readonly budget: WorkBudget;
  /** The guest knows about ports that open and close. */
  readonly isMultiport: boolean;
  fail(reason: string): void;
  /** The host's end has been opened or closed. */
  hostOpenChanged(port: SerialPort): void;
}

export interface SerialPortOptions {
  readonly number: number;
  readonly isConsole: boolean;
  readonly name: string | undefined;
  readonly backend: CharBackend | undefined;
  readonly receive: SplitQueue;
  readonly transmit: SplitQueue;
}

const PIECE_BYTES = 4096;

export class SerialPort implements CharFront {
  readonly number: number;
  readonly isConsole: boolean;
  readonly name: string | undefined;
  readonly #owner: PortOwner;
  readonly #backend: CharBackend | undefined;
  readonly #receive: SplitQueue;
  readonly #transmit: SplitQueue;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #guestOpen = false;
  #hostOpen: boolean;
  #sentBytes = 0;
  /** The back end took less than offered and will call `writable`. */
  #blocked = false;

  constructor(owner: PortOwner, options: SerialPortOptions) {
    this.#owner = owner;
    this.number = options.number;
    this.isConsole = options.isConsole;
    this.name = options.name;
    this.#backend = options.backend;
    this.#receive = options.receive;
    this.#transmit = options.transmit;
    // As at QEMU: a console is open at the host's end even with nobody there, lest the guest waits for it.
    this.#hostOpen = this.isConsole;
  }

  get isHostOpen(): boolean {
    return this.#hostOpen;
  }

  /** Apart from the constructor, because the back end may call from within. */
  connect(): void {
    this.#backend?.attach(this);
  }

  disconnect(): void {
    this.#backend?.attach(undefined);
  }

  // The back end's side.

  room(): number {
    if (this.#owner.isMultiport && !this.#guestOpen) return 0;
    if (!this.#receive.begin()) return 0;
    for (let chain = this.#receive.take(); chain !== undefined; chain = this.#receive.take()) {
      const roomBytes = chain.writableBytes;
      if (roomBytes > 0) {
        this.#receive.putBack(chain);
        return roomBytes;
      }
      this.#receive.complete(chain, 0);
    }
    this.#receive.signal();
    return 0;
  }

  receive(bytes: Uint8Array): void {
    if (!this.#receive.begin()) return;
    for (let done = 0; done < bytes.length;) {
      const chain = this.#receive.take();
      if (chain === undefined) break;
      const part = bytes.subarray(done, done + chain.writableBytes);
      if (!chain.write(0, part)) {
        this.#receive.putBack(chain);
        return this.#owner.fail(`port ${this.number}: a receive buffer lies outside memory`);
      }
      this.#receive.complete(chain, part.length);
      done += part.length;
    }
    this.#receive.signal();
  }

  writable(): void {
    this.#blocked = false;
    this.transmit();
  }

  event(event: CharEvent): void {
    if (this.isConsole || (event !== "opened" && event !== "closed")) return;
    const open = event === "opened";
    if (open === this.#hostOpen) return;
    this.#hostOpen = open;
    this.#owner.hostOpenChanged(this);
  }

  // The guest's side.

  setGuestOpen(open: boolean): void {
    this.#guestOpen = open;
    if (open) this.receiveReady();
  }

  /** There may be room again. */
  receiveReady(): void {
    this.#backend?.frontReady();
  }

  /** Hands the guest's output to the back end, as far as it takes it and as far as this turn allows. */
  transmit(): void {
    const queue = this.#transmit;
    if (this.#blocked || !queue.begin()) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      while (this.#sentBytes < chain.readableBytes) {
        const piece = this.#piece.subarray(0, Math.min(PIECE_BYTES, chain.readableBytes - this.#sentBytes));
        if (!chain.read(this.#sentBytes, piece)) {
          queue.putBack(chain);
          return this.#owner.fail(`port ${this.number}: a transmit buffer lies outside memory`);
        }
        const taken = this.#backend === undefined ? piece.length : this.#backend.write(piece);
        this.#sentBytes += taken;
        this.#blocked = taken < piece.length;
        if (this.#blocked || !this.#owner.budget.spend(taken)) {
          queue.putBack(chain);
          return queue.signal();
        }
      }
      this.#sentBytes = 0;
      queue.complete(chain, 0);
    }
    queue.signal();
  }

  /** The emergency console of §5.3.4: works in any state, and drops what the back end does not take. */
  emergencyWrite(byte: number): void {
    this.#backend?.write(Uint8Array.of(byte));
  }

  reset(): void {
    this.#guestOpen = false;
    this.#sentBytes = 0;
  }

  saveState(): SerialPortState {
    return { number: this.number, guestOpen: this.#guestOpen, sentBytes: this.#sentBytes };
  }

  loadState(values: SerialPortState): void {
    this.#guestOpen = values.guestOpen;
    this.#sentBytes = values.sentBytes;
  }
}
