// Asynchronous events, §5.2: requests that wait for something to happen, and events that wait for a request.
import type { Request } from "./request.ts";
import { LogPage } from "./spec.ts";

export interface AsyncEventRecord {
  /** 0 error, 1 health. */
  readonly type: number;
  readonly info: number;
  /** The log page that tells more. */
  readonly page: number;
}

export interface AsyncEventsOptions {
  /** Requests at a time. */
  readonly requestLimit: number;
  /** Events that are kept. */
  readonly eventLimit: number;
  /** Completes a request with its result, if its completion queue has room. */
  readonly complete: (request: Request) => boolean;
}

export class AsyncEvents {
  readonly #options: AsyncEventsOptions;
  #requests: Request[] = [];
  #events: AsyncEventRecord[] = [];
  /** Types that were reported and whose log page nobody has read since. */
  #reported = 0;

  constructor(options: AsyncEventsOptions) {
    this.#options = options;
  }

  get requests(): readonly Request[] {
    return this.#requests;
  }

  get events(): readonly AsyncEventRecord[] {
    return this.#events;
  }

  get reported(): number {
    return this.#reported;
  }

  /** The requests, which belong to the caller again. */
  reset(): Request[] {
    this.#events = [];
    this.#reported = 0;
    return this.#requests.splice(0);
  }

  load(requests: readonly Request[], events: readonly AsyncEventRecord[], reported: number): void {
    this.#requests = [...requests];
    this.#events = events.slice(0, this.#options.eventLimit);
    this.#reported = reported;
  }

  /** False when there are too many. */
  add(request: Request): boolean {
    if (this.#requests.length >= this.#options.requestLimit) return false;
    this.#requests.push(request);
    return true;
  }

  /** Takes a waiting request back. */
  take(commandId: number): Request | undefined {
    const at = this.#requests.findIndex(({ id }) => id === commandId);
    return at < 0 ? undefined : this.#requests.splice(at, 1)[0];
  }

  raise(event: AsyncEventRecord): void {
    if (this.#events.length >= this.#options.eventLimit) return;
    this.#events.push(event);
    this.report();
  }

  /** A log page was read, which ends the silence of what it tells of. */
  acknowledge(page: number): void {
    const type = page === LogPage.error ? 0 : 1;
    if (page !== LogPage.error && page !== LogPage.smart) return;
    this.#reported &= ~(1 << type);
    this.#events = this.#events.filter((event) => event.type !== type);
  }

  /** Matches events with requests. */
  report(): void {
    for (let i = 0; i < this.#events.length && this.#requests.length > 0;) {
      const { type, info, page } = this.#events[i]!;
      if ((this.#reported & (1 << type)) !== 0) {
        i++;
        continue;
      }
      const request = this.#requests[0]!;
      request.result = type | (info << 8) | (page << 16);
      if (!this.#options.complete(request)) return;
      this.#requests.shift();
      this.#events.splice(i, 1);
      this.#reported |= 1 << type;
    }
  }
}
