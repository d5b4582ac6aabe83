// What happens while a machine stands still is done once before: code that runs for the first time takes ten times as long, and
// a machine that waits for it stands still for as long.
import { encodeState, loadState, type Saveable } from "../state/index.ts";
import { FrameWriter } from "./stream/frame-writer.ts";
import { FrameKind } from "./stream/spec.ts";

/** Saves parts of a machine that runs, those that can be, and drops what comes of it. */
export function rehearseSaving(parts: ReadonlyMap<string, Saveable>): void {
  const frames = new FrameWriter();
  for (const [name, part] of parts) {
    if (part.isSettled !== false) frames.named(FrameKind.part, name, encodeState(part));
  }
}

/** Loads parts of a machine that has never run as they are. */
export function rehearseLoading(parts: ReadonlyMap<string, Saveable>): void {
  for (const part of parts.values()) loadState(part, encodeState(part));
}
