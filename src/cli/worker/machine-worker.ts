// The thread of a machine that the library started: its files, sockets and timers live here.
import { parentPort, workerData } from "node:worker_threads";
import { createNodeHost, createRateLimitedTrace, nodeClock, silentTrace } from "../../host/node/index.ts";
import type { Machine } from "../../machine/index.ts";
import { makeMachine } from "../make-machine.ts";
import { openPlan } from "../open-plan.ts";
import { errorToData } from "./error-data.ts";
import { PortChar } from "./port-char.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./protocol.ts";

export const CONSOLE_ID = "console";

async function runWorker(
  start: WorkerStart,
  post: (message: FromWorker) => void,
  listen: (take: (message: ToWorker) => void) => void,
): Promise<void> {
  const line = (text: string): void => post({ kind: "line", text });
  const trace = start.reportGuestErrors ? createRateLimitedTrace({ clock: nodeClock, line }) : silentTrace;
  const host = createNodeHost({ trace });
  const vmConsole = new PortChar(CONSOLE_ID, post);
  let machine: Machine | undefined;
  const opened = await openPlan(start.plan, {
    lent: new Map([[CONSOLE_ID, vmConsole]]),
    warn: line,
    onWaiting: (address) => line(`waiting for a connection on ${address}`),
    onQuit: () => machine?.quit("host-quit"),
  });
  try {
    const made = makeMachine(start.plan, opened, host, line);
    machine = made;
    made.observe({ runState: (state) => post({ kind: "runState", state }) });
    listen((message) => void obey(made, vmConsole, message, post));
    post({ kind: "made", deviceTree: made.boardDeviceTree });
    const exit = await made.ended;
    vmConsole.flush();
    await made.close();
    await opened.drained();
    post({ kind: "ended", exit });
  } finally {
    await opened.close();
    host.close();
  }
}

async function obey(
  machine: Machine,
  vmConsole: PortChar,
  message: ToWorker,
  post: (message: FromWorker) => void,
): Promise<void> {
  switch (message.kind) {
    case "quit":
      return machine.quit("host-quit");
    case "input":
      return vmConsole.receive(message.bytes);
    case "taken":
      return vmConsole.credit(message.lengthBytes);
    case "start":
    case "stop":
    case "reset":
      try {
        await machine[message.kind]();
        post({ kind: "done", callId: message.callId });
      } catch (error) {
        post({ kind: "done", callId: message.callId, error: errorToData(error) });
      }
  }
}

const port = parentPort;
if (port !== null) {
  const post = (message: FromWorker): void => port.postMessage(message);
  runWorker(workerData as WorkerStart, post, (take) => port.on("message", take)).then(
    () => port.close(),
    (error: unknown) => {
      post({ kind: "failed", error: errorToData(error) });
      port.close();
    },
  );
}
