// What a series of moves was like, for people and as data.
import type { LabMove, LabRound } from "./moves.ts";
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

/** For people; harts are one column where the table would be wider than `columns`. */
export function resultText(result: LabResult, columns: number): string {
  const { moves, counts } = result;
  const whole = roundsTable(moves, false);
  const lines = [...((whole[0]?.length ?? 0) > columns ? roundsTable(moves, true) : whole), ""];
  moves.forEach((move, n) =>
    lines.push(
      `move ${n + 1} by ${move.channel}: ${move.totalMs} ms, down ${move.downtimeMs} ms, ` +
        `${mebibytes(move.sentBytes)} MiB, ${(move.deviceBytes / 1024).toFixed(0)} KiB of it devices' own`,
    ),
  );
  const downtimes = moves.map(({ downtimeMs }) => downtimeMs).sort((a, b) => a - b);
  lines.push(
    "",
    `downtime: median ${downtimes[downtimes.length >> 1]} ms, at most ${downtimes.at(-1)} ms`,
    `the guest: ${countsText(counts)}`,
    "all sums and patterns are right",
    verdict(moves),
  );
  return `${lines.join("\n")}\n`;
}

/** Pages are those that were written while the round went on, in all and as each source told of them. */
function roundsTable(moves: readonly LabMove[], isFolded: boolean): string[] {
  const names = sourceNames(moves);
  const harts = names.filter((name) => /^hart\d+$/.test(name));
  const isOne = isFolded && harts.length > 1;
  const columns = isOne
    ? [{ head: "harts", of: harts }, ...names.filter((name) => !harts.includes(name)).map(columnOf)]
    : names.map(columnOf);
  const head = ["move", "round", "ms", "MiB", "pages", ...columns.map((column) => column.head)];
  const rows = moves.flatMap((move, n) =>
    move.rounds.map((round) => [
      `${n + 1} ${move.channel}`,
      `${round.number}`,
      round.durationMs.toFixed(0),
      mebibytes(round.sentBytes),
      `${round.dirtyPages}`,
      ...columns.map(({ of }) => `${pagesOf(round, of)}`),
    ]),
  );
  return table([head, ...rows]);
}

interface Column {
  readonly head: string;
  /** Names of sources; a page that several harts wrote counts for each. */
  readonly of: readonly string[];
}

function columnOf(name: string): Column {
  return { head: shortName(name), of: [name] };
}

function pagesOf({ sources }: LabRound, names: readonly string[]): number {
  return sources.filter(({ name }) => names.includes(name)).reduce((sum, { pages }) => sum + pages, 0);
}

/** How often the guest's work was done. */
export function countsText({ disk, memory, dma, serial }: Counts): string {
  const parts = [`disk ${disk}`, `memory ${memory}`];
  if (dma.length > 0) parts.push(`DMA ${dma.join(" and ")}`);
  if (serial.length > 0) parts.push(`serial ${serial.join(" and ")}`);
  return parts.join(", ");
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
