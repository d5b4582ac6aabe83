// Drives a Debian guest's shell from a script: boot, run commands and check them, power off.
import { createMachine, type VirtualMachine, type VirtualMachineOptions } from "ratite/node";

const prompt = /root@ratite:\S*# /;
const bootTimeoutMs = 300_000;
const commandTimeoutMs = 120_000;

export interface GuestSession {
  /** Seconds from start to the first prompt. */
  readonly bootSeconds: number;
  /** Runs one line; answers what it printed. Throws when its exit status is not 0. */
  run(line: string): Promise<string>;
}

/** Boots, hands the shell to `work`, powers off. Throws when the machine does not end with status 0. */
export async function withGuest(
  options: VirtualMachineOptions,
  work: (guest: GuestSession) => Promise<void>,
): Promise<void> {
  await using vm = await createMachine(options);
  const begun = performance.now();
  await vm.start();
  await vm.console.expect(prompt, { timeoutMs: bootTimeoutMs });
  const bootSeconds = (performance.now() - begun) / 1000;
  // Without echo, what comes back is what the command printed.
  await vm.console.write("stty -echo\n");
  await vm.console.expect(prompt, { timeoutMs: commandTimeoutMs });
  await work({
    bootSeconds,
    async run(line) {
      await vm.console.write(`${line}; echo status=$?\n`);
      const { before, text } = await vm.console.expect(/status=\d+/, { timeoutMs: commandTimeoutMs });
      await vm.console.expect(prompt, { timeoutMs: commandTimeoutMs });
      const output = before.replaceAll("\r", "").trim();
      if (text !== "status=0") throw new Error(`"${line}" ended with ${text}:\n${output}`);
      return output;
    },
  });
  await vm.console.write("poweroff\n");
  await poweredOff(vm);
}

async function poweredOff(vm: VirtualMachine): Promise<void> {
  let limit: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const seconds = commandTimeoutMs / 1000;
    limit = setTimeout(() => reject(new Error(`the guest did not power off within ${seconds} s`)), commandTimeoutMs);
  });
  const { cause, status } = await Promise.race([vm.ended, late]).finally(() => clearTimeout(limit));
  if (status !== 0) throw new Error(`the machine ended by ${cause} with status ${status}`);
}
