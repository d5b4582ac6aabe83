import { describe, expect, test } from "vitest";
import { StatusLine, statusText, type StatusStream } from "./status-line.ts";

function recording(isTTY: boolean): StatusStream & { text: string } {
  const stream = {
    isTTY,
    text: "",
    write(chunk: string | Uint8Array): boolean {
      stream.text += String(chunk);
      return true;
    },
  };
  return stream;
}

describe("the status line", () => {
  test("it says how much is done and fits a terminal of 80 columns", () => {
    expect(statusText({ what: "linux-image", doneBytes: 3 * 2 ** 20, totalBytes: 12 * 2 ** 20 })).toBe(
      "linux-image 3.0 of 12.0 MiB (25 %)",
    );
    expect(statusText({ what: "boots", detail: "3.0 s", doneBytes: 0 })).toBe("boots: 3.0 s 0.0 MiB");
    expect(statusText({ what: "x".repeat(200), doneBytes: 1, totalBytes: 2 })).toHaveLength(79);
  });

  test("on a terminal it redraws in place, at most ten times a second, and clears what it drew", () => {
    const stream = recording(true);
    let nowMs = 0;
    const status = new StatusLine(stream, () => nowMs);
    status.update({ what: "a", doneBytes: 0, totalBytes: 2 ** 20 });
    status.update({ what: "a", doneBytes: 1, totalBytes: 2 ** 20 });
    nowMs = 200;
    status.update({ what: "a", doneBytes: 2 ** 20, totalBytes: 2 ** 20 });
    status.clear();
    expect(stream.text.split("\r").map((part) => part.trimEnd())).toEqual([
      "",
      "a 0.0 of 1.0 MiB (0 %)",
      "a 1.0 of 1.0 MiB (100 %)",
      "",
      "",
    ]);
  });

  test("without a terminal each step is one plain line", () => {
    const stream = recording(false);
    const status = new StatusLine(stream);
    status.update({ what: "index", doneBytes: 1 });
    status.update({ what: "index", doneBytes: 2 });
    status.update({ what: "kernel" });
    status.line("done");
    expect(stream.text).toBe("index\nkernel\ndone\n");
  });
});
