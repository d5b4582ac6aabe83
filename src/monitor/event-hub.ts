// Events go to every client that has finished its negotiation, with the host's time.
import type { WallClockPort } from "../base/index.ts";
import { checkedEvent, type EventMessage } from "./schema/event-message.ts";
import type { EventType } from "./schema/event.ts";

export class EventHub {
  readonly #wallClock: WallClockPort;
  readonly #listeners = new Set<(message: EventMessage) => void>();

  constructor(wallClock: WallClockPort) {
    this.#wallClock = wallClock;
  }

  listen(onEvent: (message: EventMessage) => void): () => void {
    this.#listeners.add(onEvent);
    return () => this.#listeners.delete(onEvent);
  }

  emit<T>(type: EventType<T>, data: T): void {
    const message = checkedEvent(type, data, this.#wallClock.nowUnixNs());
    for (const onEvent of this.#listeners) onEvent(message);
  }
}
