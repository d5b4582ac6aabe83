// The calls of one process, one after the other.
import type { Socket } from "node:net";
import { Reply, Request } from "./protocol.ts";
import { stayAwake } from "./stay-awake.ts";

type RequestValues = ReturnType<(typeof Request)["decode"]>;
type ReplyValues = Partial<ReturnType<(typeof Reply)["decode"]>>;

export class Channel {
  readonly #socket: Socket;
  readonly #prepare: (request: RequestValues) => ((then: () => void) => void) | undefined;
  readonly #answer: (request: RequestValues) => ReplyValues;
  #waiting: Buffer = Buffer.alloc(0);
  #isBusy = false;

  /** `prepare` may ask for something to happen first; calls that came after it wait. */
  constructor(
    socket: Socket,
    prepare: (request: RequestValues) => ((then: () => void) => void) | undefined,
    answer: (request: RequestValues) => ReplyValues,
  ) {
    this.#socket = socket;
    this.#prepare = prepare;
    this.#answer = answer;
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    socket.on("drain", () => this.#serve());
  }

  take(chunk: Buffer): void {
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    this.#serve();
    stayAwake();
  }

  #serve(): void {
    const socket = this.#socket;
    // Who does not take its answers gets no more of them, and is not listened to.
    while (!this.#isBusy && !socket.destroyed && !socket.writableNeedDrain) {
      if (this.#waiting.length < Request.lengthBytes) break;
      const request = Request.decode(this.#waiting);
      this.#waiting = this.#waiting.subarray(Request.lengthBytes);
      const first = this.#prepare(request);
      if (first === undefined) {
        socket.write(Reply.encode(this.#answer(request)));
        continue;
      }
      this.#isBusy = true;
      first(() => {
        this.#isBusy = false;
        if (socket.destroyed) return;
        socket.write(Reply.encode(this.#answer(request)));
        this.#serve();
      });
    }
    if (this.#isBusy || socket.writableNeedDrain) socket.pause();
    else socket.resume();
  }
}
