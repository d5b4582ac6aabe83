// The data stream of a device that migrates: what SET of the device state gave a descriptor for.
import type { HostSession } from "../port.ts";
import { Errno, ioctlCommand, vfioDeviceIoctls, VfioPrecopyInfo, VfioPrecopyInfoFlag } from "../uapi/index.ts";
import type { ClientArena } from "./arena.ts";
import { IommufdError } from "./error.ts";

export interface PrecopyProgress {
  /** Should be zero before the device is stopped. */
  readonly initialBytes: bigint;
  /** Changed since it was sent. */
  readonly dirtyBytes: bigint;
  /** Initial data began anew; only after `enablePrecopyReinit`. */
  readonly isNewInitial: boolean;
}

export class MigrationData {
  readonly fd: number;
  readonly #session: HostSession;
  readonly #arena: ClientArena;

  constructor(session: HostSession, fd: number, arena: ClientArena) {
    this.fd = fd;
    this.#session = session;
    this.#arena = arena;
  }

  close(): void {
    this.#session.close(this.fd);
  }

  /** The next bytes, at most so many: none at the stream's end; undefined when there are none for the moment (pre-copy). */
  read(mostBytes: number): Uint8Array | undefined {
    const { va, bytes } = this.#arena;
    const got = this.#session.read(this.fd, va, Math.min(mostBytes, bytes.length));
    if (got === -Errno.ENOMSG) return undefined;
    if (got < 0) throw new IommufdError("read of migration data", -got);
    return bytes.slice(0, got);
  }

  write(data: Uint8Array): void {
    const { va, bytes } = this.#arena;
    for (let done = 0; done < data.length;) {
      const part = data.subarray(done, done + bytes.length);
      bytes.set(part);
      const got = this.#session.write(this.fd, va, part.length);
      if (got <= 0) throw new IommufdError("write of migration data", got === 0 ? Errno.EIO : -got);
      done += got;
    }
  }

  /** Bits of `PollEvent`. */
  poll(): number {
    return this.#session.poll(this.fd);
  }

  precopyInfo(): PrecopyProgress {
    const { va, bytes } = this.#arena;
    VfioPrecopyInfo.encode({ argsz: VfioPrecopyInfo.lengthBytes }, bytes, 0);
    const { name, nr } = vfioDeviceIoctls.getPrecopyInfo;
    const result = this.#session.ioctl(this.fd, ioctlCommand(nr), va);
    if (result < 0) throw new IommufdError(name, -result);
    const { flags, initial_bytes, dirty_bytes } = VfioPrecopyInfo.decode(bytes, 0);
    return {
      initialBytes: initial_bytes,
      dirtyBytes: dirty_bytes,
      isNewInitial: (flags & VfioPrecopyInfoFlag.REINIT) !== 0,
    };
  }
}
