// Makes the terminal raw and then ends in the way that its argument names. For terminal.test.ts.
import { openStdio } from "../char-stdio.ts";
import { catchEndSignals, signalExitStatus } from "../end-signals.ts";

const [, , how = "close"] = process.argv;
const back = openStdio({ label: "stdio", signal: how === "key", onError: () => {} });
catchEndSignals((signal) => process.exit(signalExitStatus(signal)));
back.write(Buffer.from("ready\n"));
back.attach({
  room: () => 4096,
  receive(bytes) {
    back.write(Buffer.from(`got ${[...bytes].join(" ")}\n`));
    if (bytes.includes(0x71)) process.exit(0);
  },
});
await back.drained();
switch (how) {
  case "close":
    back.close();
    break;
  case "throw":
    setTimeout(() => {
      throw new Error("crash");
    }, 1);
    break;
  case "reject":
    void Promise.reject(new Error("crash"));
    break;
  case "key":
  case "keys":
    break;
  default:
    process.kill(process.pid, how);
}
