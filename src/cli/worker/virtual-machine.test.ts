import { expect, test } from "vitest";
import type { MachinePlan } from "../plan.ts";
import { startVirtualMachine } from "./virtual-machine.ts";

const plan = { board: "virt" } as MachinePlan;
const worker = (body: string): URL =>
  new URL(`data:text/javascript,import { parentPort } from "node:worker_threads"; ${encodeURIComponent(body)}`);
const MADE = `parentPort.postMessage({ kind: "made", deviceTree: new Uint8Array(0) });`;

test("a worker that crashes before it is ready rejects the creation", async () => {
  await expect(startVirtualMachine(plan, {}, worker(`throw new Error("boom")`))).rejects.toThrow("boom");
});

test("a worker that crashes later rejects the call in flight, the end, and every later call", async () => {
  const vm = await startVirtualMachine(
    plan,
    {},
    worker(`${MADE} parentPort.on("message", () => { throw new Error("boom"); });`),
  );
  await expect(vm.start()).rejects.toThrow("boom");
  await expect(vm.ended).rejects.toThrow("boom");
  await expect(vm.stop()).rejects.toThrow("boom");
  await expect(vm.console.expect("x")).rejects.toMatchObject({ code: "ended" });
  await vm.close();
});

test("a worker that just stops rejects with its exit code", async () => {
  const vm = await startVirtualMachine(plan, {}, worker(`${MADE} parentPort.on("message", () => process.exit(3));`));
  await expect(vm.start()).rejects.toThrow("ended with code 3");
  await vm.close();
});
