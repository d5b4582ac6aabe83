import { describe, expect, test } from "vitest";
import { charBackendContract, type CharBackendUnderTest } from "./char-backend.contract.ts";
import { CharMux } from "./mux.ts";
import { NullChar } from "./null.ts";
import { PatientChar } from "./patient.ts";
import { makeCharPipe, type CharPeer } from "./pipe.ts";
import { RingBufferChar } from "./ring-buffer.ts";

/** Reads whatever the peer has, unless stalled. */
function watchPeer(peer: CharPeer): Omit<CharBackendUnderTest, "back"> {
  const arrived: number[] = [];
  let isStalled = false;
  return {
    arrived: () => {
      if (!isStalled) arrived.push(...peer.read());
      return Uint8Array.from(arrived);
    },
    send: (bytes) => void peer.write(bytes),
    stall: (stalled) => (isStalled = stalled),
    settle: async () => {
      if (!isStalled) arrived.push(...peer.read());
    },
  };
}

const nothing = async (): Promise<void> => {};

const members: Record<string, () => CharBackendUnderTest> = {
  pipe: () => {
    const { back, peer } = makeCharPipe("p", 8192);
    return { back, ...watchPeer(peer) };
  },
  "mux channel": () => {
    const { back, peer } = makeCharPipe("p", 8192);
    return { back: new CharMux({ label: "m", back, exit: () => {} }).channel("c"), ...watchPeer(peer) };
  },
  "patient back": () => {
    const { back, peer } = makeCharPipe("p", 8192);
    // Whoever writes to it waits in time; it has no bound of its own.
    const { stall: _stall, ...watched } = watchPeer(peer);
    return { back: new PatientChar(back, () => {}), ...watched };
  },
  "ring buffer": () => {
    const back = new RingBufferChar("r");
    const arrived: number[] = [];
    const read = (): Uint8Array => {
      arrived.push(...back.read());
      return Uint8Array.from(arrived);
    };
    return { back, arrived: read, settle: nothing };
  },
  null: () => ({ back: new NullChar("n"), settle: nothing }),
};

describe.each(Object.entries(members))("%s", (_name, make) => {
  const claims = charBackendContract.filter((claim) => claim.applies(make()));
  test.each(claims)("$claim", async ({ check }) => {
    await expect(check(make())).resolves.toBeUndefined();
  });
});

test("the contract finds a back that loses what it did not take", async () => {
  const { back, peer } = makeCharPipe("p", 8192);
  const lossy = { ...back, write: (bytes: Uint8Array) => (back.write(bytes), bytes.length) };
  const claim = charBackendContract.find((one) => one.claim.startsWith("a full back"))!;
  await expect(claim.check({ back: lossy, ...watchPeer(peer) })).rejects.toThrow("a back is bounded");
});

test("the contract finds a back that overruns its front", async () => {
  const { back, peer } = makeCharPipe("p", 8192);
  const rude = {
    ...back,
    attach: (front: Parameters<typeof back.attach>[0]) => back.attach(front && { ...front, room: () => 100 }),
  };
  const claim = charBackendContract.find((one) => one.claim.startsWith("a front never gets"))!;
  await expect(claim.check({ back: rude, ...watchPeer(peer) })).rejects.toThrow("a delivery fits the room");
});
