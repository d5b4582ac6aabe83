// Medians, tables, and what must stand beside every figure: when and where it was measured.
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median and range, as "0.41 (0.38-0.44)". */
export function ratioText(ratios: readonly number[]): string {
  const sorted = [...ratios].sort((a, b) => a - b);
  const text = median(ratios).toFixed(2);
  return ratios.length < 2 ? text : `${text} (${sorted[0]!.toFixed(2)}-${sorted.at(-1)!.toFixed(2)})`;
}

/** Markdown, so that it can be pasted into PROMISES.md. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  console.log(line(head));
  console.log(line(widths.map((width) => "-".repeat(width))));
  for (const row of rows) console.log(line(row));
}

export function circumstances(): string {
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(1);
  const load = loadavg()[0]!.toFixed(1);
  const model = cpus()[0]?.model.trim() ?? "an unknown CPU";
  const date = new Date().toISOString().slice(0, 16).replace("T", " ");
  return `${date} UTC, ${availableParallelism()} CPUs (${model}), ${memoryGiB} GiB, Node ${process.version}, load ${load}`;
}
