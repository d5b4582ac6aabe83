// A device that migrates, as its VMM leads it: through the states of VFIO as the machine stops, goes on, is saved and
// loaded. It goes the ways of QEMU (hw/vfio/migration.c), except where a comment says so.
import {
  IommufdError,
  MigrationData,
  VfioDeviceFlag,
  VfioDeviceState as S,
  type ClientArena,
  type HostSession,
  type VfioDeviceClient,
} from "../../iommufd/index.ts";
import { VfioError } from "../errors.ts";

/** As QEMU names them (`QapiVfioMigrationState` of qapi/vfio.json). */
export type DeviceStateName =
  | "stop"
  | "running"
  | "stop-copy"
  | "resuming"
  | "running-p2p"
  | "pre-copy"
  | "pre-copy-p2p";

/** ERROR has no name there. */
const names = new Map<number, DeviceStateName>([
  [S.STOP, "stop"],
  [S.RUNNING, "running"],
  [S.STOP_COPY, "stop-copy"],
  [S.RESUMING, "resuming"],
  [S.RUNNING_P2P, "running-p2p"],
  [S.PRE_COPY, "pre-copy"],
  [S.PRE_COPY_P2P, "pre-copy-p2p"],
]);

export interface MovingDeviceOptions {
  readonly name: string;
  readonly client: VfioDeviceClient;
  readonly session: HostSession;
  readonly arena: ClientArena;
  /** What the device can do, and `VfioDeviceFlag`s. */
  readonly p2p: boolean;
  readonly preCopy: boolean;
  readonly flags: number;
}

/** Methods throw VfioError `cannotMigrate` with the call that was refused, unless they say that they do not throw. */
export class MovingDevice {
  readonly label: string;
  readonly hasPrecopy: boolean;
  /** Told of each state that the device has got to. */
  onState: ((state: DeviceStateName) => void) | undefined;
  /** Told what an operator should know though everything goes on. */
  onFailure: ((message: string) => void) | undefined;
  /** It was reset here, and nobody else knows. */
  onReset: (() => void) | undefined;
  readonly #options: MovingDeviceOptions;
  #state: number = S.RUNNING;
  #data: MigrationData | undefined;
  /** Between `beginSave` and `endSave`. */
  #isSaving = false;
  /** It came back as after power-on while it was saved. */
  #wasReset = false;

  constructor(options: MovingDeviceOptions) {
    this.#options = options;
    this.label = options.name;
    this.hasPrecopy = options.preCopy;
  }

  get state(): DeviceStateName | undefined {
    return names.get(this.#state);
  }

  // As the machine stops and goes on.

  /** It is to begin nothing with other devices. All of a machine do this before the first of them stops. */
  quiesce(): void {
    if (!this.#options.p2p) return;
    if (this.#state === S.RUNNING) this.#go(S.RUNNING_P2P);
    else if (this.#state === S.PRE_COPY) this.#go(S.PRE_COPY_P2P);
  }

  /** While the machine runs: it begins nothing until it is let go of. Undefined for a device without P2P. */
  get hold(): ((isHeld: boolean) => void) | undefined {
    if (!this.#options.p2p) return undefined;
    return (isHeld) => {
      if (isHeld) this.quiesce();
      else if (this.#state === S.RUNNING_P2P) this.#go(S.RUNNING);
      else if (this.#state === S.PRE_COPY_P2P) this.#go(S.PRE_COPY);
    };
  }

  /**
   * Stands still; `isFinal`: to be read to its end. A machine that only pauses while it is saved stays where `cont` finds
   * the stream again, where QEMU would lose it.
   */
  stop(isFinal: boolean): void {
    if (isFinal && this.#isSaving) this.#go(S.STOP_COPY);
    else if (this.#state === S.RUNNING || this.#state === S.RUNNING_P2P) this.#go(S.STOP);
  }

  /** The first half of going on, for all devices of a machine before the second. Does not throw. */
  prepareStart(): void {
    if (this.#options.p2p && this.#state !== S.RUNNING && !this.#isPrecopy) this.#recover(S.RUNNING_P2P);
  }

  /** Goes on; a device that does not is reset, so that the guest finds a device and not a hole. Does not throw. */
  start(): void {
    if (this.#isPrecopy) this.#recover(S.PRE_COPY);
    else this.#recover(S.RUNNING);
  }

  /** The machine has reset it. Does not throw. */
  noteReset(): void {
    this.#wasReset = this.#isSaving;
    this.#closeData();
    this.#enter(S.RUNNING);
  }

  // On its way out.

  beginSave(): void {
    this.#wasReset = false;
    if (this.#state === S.ERROR) this.#ask();
    if (this.#state === S.ERROR) throw this.#refused("it has failed, and only a reset brings it back", undefined);
    this.#isSaving = true;
    if (this.hasPrecopy && this.#state === S.RUNNING) this.#go(S.PRE_COPY);
  }

  pending(): { readonly initialBytes: number; readonly leftBytes: number } {
    this.#checkStream();
    const stopBytes = this.#calling("its data's size", () => this.#options.client.stopCopyBytes());
    const data = this.#data;
    if (!this.#isPrecopy || data === undefined) return { initialBytes: 0, leftBytes: Number(stopBytes) };
    const { initialBytes, dirtyBytes } = this.#calling("its pre-copy data's size", () => data.precopyInfo());
    const precopyBytes = initialBytes + dirtyBytes;
    // What a transfer of the stopped device would take has the other two in it.
    return {
      initialBytes: Number(initialBytes),
      leftBytes: Number(stopBytes > precopyBytes ? stopBytes : precopyBytes),
    };
  }

  read(mostBytes: number): Uint8Array | undefined {
    this.#checkStream();
    const data = this.#data;
    if (data === undefined) throw this.#refused("its data is gone", undefined);
    return this.#calling("its data", () => data.read(mostBytes));
  }

  endSave(): void {
    if (!this.#isSaving) return;
    this.#isSaving = false;
    try {
      if (this.#state === S.STOP_COPY) this.#go(S.STOP);
      else if (this.#state !== S.STOP) this.#recover(S.RUNNING);
    } finally {
      this.#closeData();
    }
  }

  // On its way in.

  beginLoad(): void {
    this.#go(S.RESUMING);
  }

  write(bytes: Uint8Array): void {
    const data = this.#data;
    if (data === undefined) throw this.#refused("it takes no data", undefined);
    this.#calling("its data", () => data.write(bytes));
  }

  endLoad(): void {
    this.#go(S.STOP);
    this.#closeData();
  }

  /** Does not throw. */
  abandonLoad(): void {
    this.#closeData();
    if (this.#state !== S.RUNNING) this.#reset();
  }

  /** Lets go of its stream. */
  close(): void {
    this.#closeData();
  }

  get #isPrecopy(): boolean {
    return this.#state === S.PRE_COPY || this.#state === S.PRE_COPY_P2P;
  }

  #checkStream(): void {
    if (this.#wasReset) throw this.#refused("it was reset, which ended its data", undefined);
  }

  /** One step or several, as the host has ways; a step that fails may leave it anywhere on the way. */
  #go(wanted: number): void {
    if (this.#state === wanted) return;
    const { client, session, arena } = this.#options;
    let fd: number | undefined;
    try {
      fd = client.setDeviceState(wanted);
    } catch (cause) {
      this.#ask();
      throw this.#refused(`it does not go to ${nameOf(wanted)}`, cause);
    }
    this.#enter(wanted);
    if (fd === undefined) {
      // Streams end where none of the states that keep them is left.
      if (wanted !== S.STOP_COPY && !this.#isPrecopy) this.#closeData();
      return;
    }
    const isOutOfStep = this.#data !== undefined;
    this.#closeData();
    this.#data = new MigrationData(session, fd, arena);
    // A reset that nobody told of ended the stream that was there.
    if (isOutOfStep) throw this.#refused("its data began anew", undefined);
  }

  /** Goes there, or is reset. */
  #recover(wanted: number): void {
    try {
      this.#go(wanted);
      return;
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      this.onFailure?.(`${error.message}; it is reset`);
    }
    this.#reset();
  }

  #reset(): void {
    this.#closeData();
    const { client, flags, name } = this.#options;
    const canReset = (flags & VfioDeviceFlag.RESET) !== 0;
    try {
      if (canReset) {
        client.reset();
        this.onReset?.();
      }
      this.#ask(canReset ? S.RUNNING : S.ERROR);
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.onFailure?.(`${name} cannot be reset either: ${error.message}; the guest has a device that does not answer`);
    }
  }

  /** Where the device is: after a failure, only it knows. Where it does not say, what it has to be taken for. */
  #ask(otherwise: number = S.ERROR): void {
    try {
      this.#enter(this.#options.client.deviceState());
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#enter(otherwise);
    }
  }

  #enter(state: number): void {
    if (state === this.#state) return;
    this.#state = state;
    if (this.state !== undefined) this.onState?.(this.state);
  }

  #closeData(): void {
    this.#data?.close();
    this.#data = undefined;
  }

  #calling<T>(what: string, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw this.#refused(`the host refuses ${what}`, cause);
    }
  }

  #refused(what: string, cause: unknown): unknown {
    if (cause !== undefined && !(cause instanceof IommufdError)) return cause;
    const { name } = this.#options;
    const because = cause === undefined ? "" : `: ${cause.message}`;
    return new VfioError("cannotMigrate", `Device ${name}: ${what}${because}`, { subject: name, cause });
  }
}

function nameOf(state: number): string {
  return (names.get(state) ?? "error").toUpperCase().replaceAll("-", "_");
}
