// A back whose other end is in the same program: for tests, and for whoever talks to a console through the library.
import { ByteQueue } from "./byte-queue.ts";
import type { CharBackend, CharFront } from "./port.ts";

/** The far end of a pipe. Both directions are bounded; nothing is lost. */
export interface CharPeer {
  /** Takes what fits; returns how many bytes. After it took fewer than offered, `onWritable` says when to go on. */
  write(bytes: Uint8Array): number;
  /** Takes out what the front has written; empty when there is nothing. */
  read(limitBytes?: number): Uint8Array;
  sendBreak(): void;
  close(): void;
  /** Bytes have arrived; called once, until `read` has taken them all. */
  onReadable: (() => void) | undefined;
  onWritable: (() => void) | undefined;
}

export interface CharPipe {
  readonly back: CharBackend;
  readonly peer: CharPeer;
}

/** `capacityBytes` bounds each direction. */
export function makeCharPipe(label: string, capacityBytes = 65_536): CharPipe {
  const toPeer = new ByteQueue(capacityBytes);
  const toFront = new ByteQueue(capacityBytes);
  let front: CharFront | undefined;
  let frontIsWaiting = false;
  let peerIsWaiting = false;
  let peerWasTold = false;
  let isClosed = false;

  const deliver = (): void => {
    for (;;) {
      const room = Math.min(front?.room() ?? 0, toFront.lengthBytes);
      if (front === undefined || room <= 0) break;
      // A copy that is already out of the queue: the front may call back into it.
      front.receive(toFront.take(room));
    }
    if (peerIsWaiting && toFront.freeBytes > 0) {
      peerIsWaiting = false;
      peer.onWritable?.();
    }
  };

  const back: CharBackend = {
    label,
    write(bytes) {
      if (isClosed) return bytes.length;
      frontIsWaiting = false;
      let taken = 0;
      // The peer may read at once, which makes room for the rest.
      do {
        taken += toPeer.push(bytes.subarray(taken));
        if (toPeer.lengthBytes > 0 && !peerWasTold) {
          peerWasTold = true;
          peer.onReadable?.();
        }
      } while (taken < bytes.length && toPeer.freeBytes > 0);
      frontIsWaiting = taken < bytes.length;
      return taken;
    },
    attach(newFront) {
      front = newFront;
      if (!isClosed) front?.event?.("opened");
      deliver();
    },
    frontReady: deliver,
    close: () => close(),
  };

  const peer: CharPeer = {
    write(bytes) {
      if (isClosed) return bytes.length;
      peerIsWaiting = false;
      let taken = 0;
      do {
        taken += toFront.push(bytes.subarray(taken));
        deliver();
      } while (taken < bytes.length && toFront.freeBytes > 0);
      peerIsWaiting = taken < bytes.length;
      return taken;
    },
    read(limitBytes) {
      const taken = toPeer.take(limitBytes);
      if (toPeer.lengthBytes === 0) peerWasTold = false;
      if (frontIsWaiting && taken.length > 0) {
        frontIsWaiting = false;
        front?.writable?.();
      }
      return taken;
    },
    sendBreak: () => front?.event?.("break"),
    close: () => close(),
    onReadable: undefined,
    onWritable: undefined,
  };

  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    front?.event?.("closed");
    if (frontIsWaiting) {
      frontIsWaiting = false;
      front?.writable?.();
    }
  };

  return { back, peer };
}
