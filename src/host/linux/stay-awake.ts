// A program's calls come one after the other, and a sleeping processor takes tens of microseconds to wake. For a moment
// after each call the event loop therefore looks for the next one without sleeping.

const AWAKE_MS = 1;

let untilMs = 0;
let isLooking = false;

export function stayAwake(): void {
  untilMs = performance.now() + AWAKE_MS;
  if (isLooking) return;
  isLooking = true;
  setImmediate(look);
}

function look(): void {
  if (performance.now() < untilMs) setImmediate(look);
  else isLooking = false;
}
