// What every CharBackend keeps. Each claim throws when it is broken; a member's test file runs them all, as
// `char-backend.test.ts` does for the backs in memory.
import { assert } from "../base/index.ts";
import type { CharBackend, CharFront } from "./port.ts";

/** One fresh member under test, nobody attached. What a member cannot do (a file gives no input) is absent. */
export interface CharBackendUnderTest {
  readonly back: CharBackend;
  /** Everything that has arrived outside so far, from the first byte on. */
  readonly arrived?: () => Uint8Array;
  /** Sends from outside; waits itself for room. */
  readonly send?: (bytes: Uint8Array) => void;
  /** While true, the outside takes nothing, so that the back fills. */
  readonly stall?: (stalled: boolean) => void;
  /** Lets whatever the platform has in flight happen. */
  readonly settle: () => Promise<void>;
}

export interface CharBackendClaim {
  readonly claim: string;
  /** False when the member lacks what the claim is about. */
  readonly applies: (member: CharBackendUnderTest) => boolean;
  readonly check: (member: CharBackendUnderTest) => Promise<void>;
}

const TURNS = 2000;

export const charBackendContract: readonly CharBackendClaim[] = [
  {
    claim: "what is written arrives, in order",
    applies: ({ arrived }) => arrived !== undefined,
    async check({ back, arrived, settle }) {
      back.attach(makeFront().front);
      assert(back.write(text("one ")) === 4, "a back that is not full takes all");
      assert(back.write(text("two")) === 3, "a back that is not full takes all");
      await until(settle, () => arrived!().length >= 7, "both writes arrive");
      expectBytes(arrived!(), text("one two"));
    },
  },
  {
    claim: "the array that was written may be used again at once",
    applies: ({ arrived }) => arrived !== undefined,
    async check({ back, arrived, settle }) {
      back.attach(makeFront().front);
      const bytes = text("kept");
      back.write(bytes);
      bytes.fill(0x21);
      await until(settle, () => arrived!().length >= 4, "the write arrives");
      expectBytes(arrived!(), text("kept"));
    },
  },
  {
    claim: "a write of nothing takes nothing",
    applies: () => true,
    async check({ back }) {
      back.attach(makeFront().front);
      assert(back.write(new Uint8Array(0)) === 0, "an empty write takes 0 bytes");
    },
  },
  {
    claim: "a full back says so, tells when it is writable, and loses nothing",
    applies: ({ arrived, stall }) => arrived !== undefined && stall !== undefined,
    async check({ back, arrived, stall, settle }) {
      const { front, log } = makeFront();
      back.attach(front);
      stall!(true);
      const sent: number[] = [];
      const offer = everyByte(4096);
      let isFull = false;
      for (let i = 0; i < TURNS && !isFull; i++) {
        const taken = back.write(offer);
        assert(taken >= 0 && taken <= offer.length, "a write takes part of what is offered", taken);
        for (const byte of offer.subarray(0, taken)) sent.push(byte);
        isFull = taken < offer.length;
      }
      assert(isFull, "a back is bounded");
      assert(log.writable === 0, "a full back is not writable");
      stall!(false);
      await until(settle, () => log.writable > 0, "writable is called");
      assert(back.write(text("end")) > 0, "a writable back takes bytes");
      await until(settle, () => arrived!().length >= sent.length + 1, "everything taken arrives");
      expectBytes(arrived!().subarray(0, sent.length), Uint8Array.from(sent));
    },
  },
  {
    claim: "input arrives, in order",
    applies: ({ send }) => send !== undefined,
    async check({ back, send, settle }) {
      const { front, log } = makeFront();
      back.attach(front);
      send!(text("abc"));
      send!(text("def"));
      await until(settle, () => log.received.length >= 6, "input arrives");
      expectBytes(Uint8Array.from(log.received), text("abcdef"));
    },
  },
  {
    claim: "a front never gets more than it has room for, and loses nothing by being slow",
    applies: ({ send }) => send !== undefined,
    async check({ back, send, settle }) {
      const { front, log } = makeFront(3);
      back.attach(front);
      send!(printable(1000));
      const all: number[] = [];
      for (let i = 0; i < TURNS && all.length < 1000; i++) {
        await settle();
        assert(log.received.length <= 3, "a delivery fits the room", log.received.length);
        all.push(...log.received.splice(0));
        back.frontReady();
      }
      expectBytes(Uint8Array.from(all), printable(1000));
    },
  },
  {
    claim: "input that came before the front waits for it",
    applies: ({ send }) => send !== undefined,
    async check({ back, send, settle }) {
      send!(text("early"));
      await settle();
      const { front, log } = makeFront();
      back.attach(front);
      await until(settle, () => log.received.length >= 5, "early input arrives");
      expectBytes(Uint8Array.from(log.received), text("early"));
    },
  },
  {
    claim: "a detached front hears nothing",
    applies: ({ send }) => send !== undefined,
    async check({ back, send, settle }) {
      const { front, log } = makeFront();
      back.attach(front);
      back.attach(undefined);
      send!(text("late"));
      for (let i = 0; i < 5; i++) await settle();
      assert(log.received.length === 0, "nothing is delivered after detaching");
    },
  },
  {
    claim: "a front may detach while it receives",
    applies: ({ send }) => send !== undefined,
    async check({ back, send, settle }) {
      let received = 0;
      back.attach({
        room: () => 1,
        receive: (bytes) => {
          received += bytes.length;
          back.attach(undefined);
        },
      });
      send!(text("xyz"));
      for (let i = 0; i < 5; i++) await settle();
      assert(received === 1, "delivery stops at the detaching", received);
    },
  },
  {
    claim: "closing twice is harmless, and a closed back takes and drops everything",
    applies: () => true,
    async check({ back, settle }) {
      const { front, log } = makeFront();
      back.attach(front);
      back.close();
      back.close();
      await settle();
      assert(back.write(text("gone")) === 4, "a closed back takes all");
      back.frontReady();
      back.attach(undefined);
      assert(log.received.length === 0, "a closed back delivers nothing");
    },
  },
];

interface FrontLog {
  readonly received: number[];
  writable: number;
}

/** A front with room for `capacityBytes` unread bytes; a test reads by emptying `log.received`. */
function makeFront(capacityBytes = Infinity): { front: CharFront; log: FrontLog } {
  const log: FrontLog = { received: [], writable: 0 };
  const front: CharFront = {
    room: () => Math.min(capacityBytes - log.received.length, 0x7fffffff),
    receive: (bytes) => void log.received.push(...bytes),
    writable: () => void log.writable++,
  };
  return { front, log };
}

async function until(settle: () => Promise<void>, condition: () => boolean, claim: string): Promise<void> {
  for (let i = 0; i < TURNS && !condition(); i++) await settle();
  assert(condition(), claim);
}

function text(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, (character) => character.charCodeAt(0));
}

function everyByte(lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (7 * i) & 0xff);
}

/** Bytes that mean nothing to a mux or a terminal. */
function printable(lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => 0x20 + ((7 * i) % 95));
}

function expectBytes(found: Uint8Array, wanted: Uint8Array): void {
  assert(found.length === wanted.length, "as many bytes arrive as were sent", found.length, wanted.length);
  const at = found.findIndex((byte, i) => byte !== wanted[i]);
  assert(at < 0, "bytes arrive as they were sent", at, found[at], wanted[at]);
}
