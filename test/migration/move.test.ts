// Whole machines moved while their harts run.
import { expect, test } from "vitest";
import { createMachine, type Machine } from "../../src/machine/index.ts";
import { run, type Run } from "../../src/machine/testing/program-run.ts";
import { IncomingMigration, OutgoingMigration } from "../../src/migration/index.ts";
import { makePipe } from "../../src/migration/testing/pipe.ts";

const AT = 0x8010_0000;
// Counts in memory and writes a letter for each 2^22: what is lost or done twice on the way shows in the text.
//   lui t0, 0x10000; auipc t1, 0x100; li t2, 0; lui s0, 0x400; li s1, 'a'
//   1: addi t2, t2, 1; sd t2, 4(t1); remu t3, t2, s0; bnez t3, 1b
//   sb s1, 0(t0); addi s1, s1, 1; li t4, 'z' + 1; bne s1, t4, 1b
//   lui t3, 0x100; lui t4, 5; addiw t4, t4, 0x555; sw t4, 0(t3); j .
const COUNTER = [
  0x100002b7, 0x00100317, 0x00000393, 0x00400437, 0x06100493, 0x00138393, 0x00733223, 0x0283fe33, 0xfe0e1ae3,
  0x00928023, 0x00148493, 0x07b00e93, 0xffd492e3, 0x00100e37, 0x00005eb7, 0x555e8e9b, 0x01de2023, 0x0000006f,
];

function machineOf(incoming: boolean): { made: Run; machine: Machine } {
  const made = run(COUNTER, AT, { firmware: "none", smp: 1, incoming, rtc: { base: 0n, clock: "vm" } });
  return { made, machine: createMachine(made.config, made.host) };
}

test("a program goes on where it was, on the other side only", async () => {
  const source = machineOf(false);
  const target = machineOf(true);
  expect(target.machine.runState).toBe("inmigrate");
  expect(() => target.machine.start()).toThrow("The machine has not arrived yet");
  source.machine.start();
  while (source.made.text.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  const [out, into] = makePipe();
  const { timers, yield: turns } = source.made.host;
  const outgoing = new OutgoingMigration({
    machine: source.machine.movable,
    channel: out,
    timers,
    yield: turns,
    parameters: { maxBandwidth: 0 },
  });
  await Promise.all([
    outgoing.run().then(() => source.machine.handedOver()),
    new IncomingMigration({ machine: target.machine.movable, channel: into, starts: () => true }).run(),
  ]);
  expect([source.machine.runState, target.machine.runState]).toEqual(["postmigrate", "running"]);
  const atHandover = source.made.text;
  expect(await target.machine.ended).toMatchObject({ cause: "guest-shutdown", status: 0 });
  expect(atHandover + target.made.text).toBe("abcdefghijklmnopqrstuvwxyz");
  expect(source.made.text).toBe(atHandover);
  expect(target.made.text.length).toBeGreaterThan(0);
  await Promise.all([source.machine.close(), target.machine.close()]);
});
