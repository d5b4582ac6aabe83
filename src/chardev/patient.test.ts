import { expect, test } from "vitest";
import { PatientChar } from "./patient.ts";
import { makeCharPipe } from "./pipe.ts";

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const bytes = (characters: string): Uint8Array => Uint8Array.from(characters, (c) => c.charCodeAt(0));

test("takes all that a full back end does not, tells of it once, and delivers it in order", async () => {
  const { back, peer } = makeCharPipe("p", 4);
  const backlogs: Promise<void>[] = [];
  const patient = new PatientChar(back, (taken) => backlogs.push(taken));
  patient.attach({ room: () => 0, receive: () => undefined });
  expect(patient.write(bytes("abcdef"))).toBe(6);
  expect(patient.write(bytes("gh"))).toBe(2);
  expect(backlogs).toHaveLength(1);
  expect(text(peer.read())).toBe("abcd");
  expect(text(peer.read())).toBe("efgh");
  await backlogs[0];
  patient.write(bytes("i"));
  expect(text(peer.read())).toBe("i");
});

test("a closed one has nothing left to wait for", async () => {
  const backlogs: Promise<void>[] = [];
  const patient = new PatientChar(makeCharPipe("p", 1).back, (taken) => backlogs.push(taken));
  patient.write(bytes("abc"));
  patient.close();
  await backlogs[0];
  expect(backlogs).toHaveLength(1);
});
