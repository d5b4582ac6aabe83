// What a series of moves was like, for people and as data.
import type { LabMove } from "./moves.ts";
import type { Counts } from "./workload.ts";

export interface LabResult {
  readonly host: string;
  readonly policy: string;
  readonly harts: number;
  /** How each device's writes were found. */
  readonly trackers: readonly string[];
  readonly moves: readonly LabMove[];
  readonly counts: Counts;
}

/** Columns of the sources that occur, in the order of their first occurrence. */
function sourceNames(moves: readonly LabMove[]): string[] {
  return [...new Set(moves.flatMap(({ rounds }) => rounds.flatMap(({ sources }) => sources.map(({ name }) => name))))];
}

export function resultText(result: LabResult): string {
  const { moves, counts } = result;
  const sources = sourceNames(moves);
  const head = ["move", "round", "ms", "MiB sent", "of devices", "dirty pages", ...sources.map(shortName)];
  const rows = moves.flatMap((move, n) =>
    move.rounds.map((round) => [
      `${n + 1} ${move.channel}`,
      `${round.number}`,
      round.durationMs.toFixed(0),
      mebibytes(round.sentBytes),
      mebibytes(round.deviceBytes),
      `${round.dirtyPages}`,
      ...sources.map((name) => `${round.sources.find((source) => source.name === name)?.pages ?? 0}`),
    ]),
  );
  const lines = [...table([head, ...rows]), ""];
  moves.forEach((move, n) =>
    lines.push(
      `move ${n + 1} by ${move.channel}: ${move.totalMs} ms in all, down for ${move.downtimeMs} ms, ` +
        `${mebibytes(move.sentBytes)} MiB, ${(move.deviceBytes / 1024).toFixed(0)} KiB of it devices' own`,
    ),
  );
  const downtimes = moves.map(({ downtimeMs }) => downtimeMs).sort((a, b) => a - b);
  lines.push(
    "",
    `downtime: median ${downtimes[downtimes.length >> 1]} ms, at most ${downtimes.at(-1)} ms`,
    `the guest: ${counts.disk} rounds of files on the disk, ${counts.memory} in memory, ` +
      `DMA passes ${counts.dma.join(", ") || "none"}; all sums and patterns are right`,
    verdict(moves),
  );
  return `${lines.join("\n")}\n`;
}

export function verdict(moves: readonly LabMove[]): string {
  const missed = moves.flatMap((move) => move.missed);
  const rounds = moves.reduce((sum, move) => sum + move.rounds.length + 1, 0);
  return missed.length === 0
    ? `the oracle: ${rounds} rounds, no page was missed`
    : `the oracle: MISSED ${missed.length} pages: ${missed.slice(0, 10).join(", ")}`;
}

/** A page table or a log is told by what it is, not by whose it is in full. */
function shortName(name: string): string {
  return name.replace(/^vfio /, "").replace(/^0000:/, "");
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
}
