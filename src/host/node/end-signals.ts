// Signals that ask this process to end.

const NUMBERS = { SIGINT: 2, SIGQUIT: 3, SIGTERM: 15, SIGHUP: 1 } as const;
export type EndSignal = keyof typeof NUMBERS;

/** What a shell shows for a process that `signal` ended: 128 + its number. */
export function signalExitStatus(signal: EndSignal): number {
  return 128 + NUMBERS[signal];
}

/** Calls `onSignal` for each; a second one within a clean end that hangs exits at once. `release` restores the defaults. */
export function catchEndSignals(onSignal: (signal: EndSignal) => void): { release: () => void } {
  let caught = 0;
  const handle = (signal: EndSignal): void => {
    if (++caught > 1) process.exit(signalExitStatus(signal));
    onSignal(signal);
  };
  const names = Object.keys(NUMBERS) as EndSignal[];
  for (const name of names) process.on(name, handle);
  return {
    release() {
      for (const name of names) process.off(name, handle);
    },
  };
}
