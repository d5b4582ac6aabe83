// A vitest reporter beside the default one: names every skipped test with its reason, and leaves the counts in
// test/results/summary.json for whoever runs the tests from a script.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SerializedError } from "vitest";
import type { Reporter, TestModule } from "vitest/node";

export const SUMMARY_PATH: string = join(import.meta.dirname, "../test/results/summary.json");

export interface TestSummary {
  readonly passed: number;
  /** Failed tests, files that did not load, and errors outside any test. */
  readonly failed: number;
  readonly skipped: number;
}

export interface SkippedTest {
  readonly name: string;
  readonly note: string | undefined;
}

/** Tests skipped together (a whole file, a whole group) are one line with their number. */
export function skipLines(skipped: readonly SkippedTest[]): string[] {
  const counts = new Map<string, number>();
  for (const { name, note } of skipped) {
    const group = name.includes(" > ") ? name.slice(0, name.lastIndexOf(" > ")) : name;
    const line = note === undefined ? name : `${group}: ${note}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => (count === 1 ? `skipped: ${line}` : `skipped (${count} tests): ${line}`));
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const skipped: SkippedTest[] = [];
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped.push({ name: test.fullName, note: noteOf(test.result()) });
      }
    }
    for (const line of skipLines(skipped)) console.log(line);
    const summary: TestSummary = { passed, failed, skipped: skipped.length };
    mkdirSync(dirname(SUMMARY_PATH), { recursive: true });
    writeFileSync(SUMMARY_PATH, `${JSON.stringify(summary)}\n`);
  }
}

function noteOf(result: object): string | undefined {
  return "note" in result && typeof result.note === "string" ? result.note : undefined;
}
