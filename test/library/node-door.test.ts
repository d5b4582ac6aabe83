// `ratite/node` as its users import it: built, the machine in a worker.
import { afterAll, describe, expect, test } from "vitest";
import { parseTree } from "../../src/format/index.ts";
import { echoProgram, failProgram, FLOOD_BYTES, floodProgram, spinProgram } from "../support/firmware-programs.ts";

const door = (await import(new URL("../../dist/node.js", import.meta.url).href)) as typeof import("../../src/node.ts");
type Machine = Awaited<ReturnType<typeof door.createMachine>>;

const made: Machine[] = [];
afterAll(async () => {
  for (const vm of made) await vm.close();
});

async function machine(program: Uint8Array): Promise<Machine> {
  const vm = await door.createMachine({ memory: "64M", firmware: { image: program } });
  made.push(vm);
  return vm;
}

describe("a machine in a worker", () => {
  test("what is written comes back, and power off ends it with status 0", async () => {
    const vm = await machine(echoProgram);
    await vm.start();
    await vm.console.write("hello ");
    expect(await vm.console.expect(/l+o/)).toMatchObject({ before: "he", text: "llo" });
    await vm.console.write("q");
    expect(await vm.ended).toEqual({ cause: "guest-shutdown", status: 0 });
  });

  test("the board's properties are QEMU's, switches as booleans", async () => {
    const vm = await door.createMachine({ memory: "64M", boardOptions: { aclint: true, aia: "aplic" } });
    made.push(vm);
    const soc = parseTree(vm.deviceTree).root.find("/soc")!;
    expect(soc.children.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["sswi@2f00000", "interrupt-controller@d000000"]),
    );
  });

  test("an iteration sees all of a long output, and ends", async () => {
    const vm = await machine(floodProgram);
    await vm.start();
    let length = 0;
    for await (const text of vm.console) length += text.length;
    expect(length).toBe(FLOOD_BYTES);
  });

  test("the guest's failure is the status", async () => {
    const vm = await machine(failProgram);
    await vm.start();
    expect(await vm.ended).toMatchObject({ status: 7 });
  });

  test("while the guest computes, the caller's timers are on time", async () => {
    const vm = await machine(spinProgram);
    await vm.start();
    await vm.console.expect("!");
    let ticks = 0;
    let lastMs = performance.now();
    let worstMs = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const nowMs = performance.now();
        worstMs = Math.max(worstMs, nowMs - lastMs - 10);
        lastMs = nowMs;
        if (++ticks < 50) return;
        clearInterval(timer);
        resolve();
      }, 10);
    });
    // The guest never waits: on its thread nothing would be on time. Others use this machine too.
    expect(worstMs).toBeLessThan(200);
    await vm.close();
    expect(await vm.ended).toMatchObject({ cause: "host-quit" });
  });

  test("stop pauses, start continues", async () => {
    const vm = await machine(echoProgram);
    const states: string[] = [];
    await vm.start();
    await vm.console.write("a");
    await vm.console.expect("a");
    await vm.stop();
    states.push(vm.runState);
    const writing = vm.console.write("b");
    await expect(vm.console.expect("b", { timeoutMs: 200 })).rejects.toMatchObject({ code: "timeout" });
    await vm.start();
    await writing;
    await vm.console.expect("b");
    states.push(vm.runState);
    expect(states).toEqual(["paused", "running"]);
    await vm.close();
  });

  test("closing twice is harmless, and afterwards every call says that it is over", async () => {
    const vm = await machine(spinProgram);
    await vm.start();
    await vm.close();
    await vm.close();
    await expect(vm.start()).rejects.toThrow("The machine has ended");
    await expect(vm.console.write("x")).rejects.toMatchObject({ code: "ended" });
    expect(await vm.console.read()).toMatch(/^!?$/);
    expect(await vm.console.read()).toBe("");
  });

  test("it is disposed of at the end of its scope", async () => {
    let outer: Machine | undefined;
    {
      await using vm = await machine(spinProgram);
      await vm.start();
      outer = vm;
    }
    expect(await outer.ended).toMatchObject({ cause: "host-quit" });
  });
});

describe("mistakes reject with the error that the machine's thread had", () => {
  test("a file that is not there", async () => {
    const creating = door.createMachine({ kernel: "/nonexistent" });
    await expect(creating).rejects.toThrow("Could not open '/nonexistent': No such file or directory");
    await expect(creating).rejects.toBeInstanceOf(door.CliError);
  });

  test("a kernel that is none", async () => {
    const creating = door.createMachine({ kernel: new Uint8Array(64) });
    await expect(creating).rejects.toBeInstanceOf(door.MachineError);
    await expect(creating).rejects.toMatchObject({ code: "badImage" });
  });

  test("nothing to start is told by start", async () => {
    const vm = await door.createMachine({ memory: "64M" });
    made.push(vm);
    await expect(vm.start()).rejects.toMatchObject({ code: "nothingToStart" });
  });

  test.each([
    [{ memory: "lots" }, "Parameter 'memory' expects a size"],
    [{ board: "spike" }, "unsupported machine type"],
    [{ boardOptions: { aia: "gic" } }, "'none', 'aplic' or 'aplic-imsic' would do"],
    [{ devices: [{ driver: "floppy", properties: {} }] }, "'floppy' is not a valid device model name"],
    [{ guest: "debain" }, "did you mean debian?"],
    [{ append: "x" }, "only allowed with -kernel option"],
  ])("%j", async (options, expected) => {
    await expect(door.createMachine(options)).rejects.toThrow(expected);
  });
});
