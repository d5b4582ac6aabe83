import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

// util-linux' script(1) gives a real pseudo-terminal without a native module.
const hasScript = spawnSync("script", ["--version"]).status === 0;
const holder = fileURLToPath(new URL("./testing/hold-terminal.ts", import.meta.url));

/** Runs the holder in a terminal between two looks at the terminal's settings; `keys` are typed once it is ready. */
function inTerminal(how: string, keys = ""): Promise<{ before: string; after: string; said: string }> {
  const line = `stty -g; node --import tsx ${holder} ${how} 2>/dev/null; echo "status $?"; stty -g`;
  const child = spawn("script", ["-qec", line, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  let text = "";
  let typed = false;
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
    if (!typed && text.includes("ready")) {
      typed = true;
      child.stdin.write(keys);
    }
  });
  return new Promise((resolve) => {
    child.on("close", () => {
      const lines = text.split(/\r*\n/).filter((part) => part !== "");
      resolve({ before: lines[0] ?? "", after: lines.at(-1) ?? "", said: lines.slice(1, -1).join("\n") });
    });
  });
}

describe.skipIf(!hasScript)("the terminal's settings are as before", () => {
  test.each([
    ["close", 0],
    ["throw", 1],
    ["reject", 1],
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGQUIT", 131],
  ])("after %s", async (how, status) => {
    const { before, after, said } = await inTerminal(how);
    expect(said).toContain(`status ${status}`);
    expect(before).toMatch(/^[0-9a-f:]+$/);
    expect(after).toBe(before);
  });
});

describe.skipIf(!hasScript)("in a terminal", () => {
  test("Ctrl-C, Ctrl-Z and Ctrl-\\ reach the guest, and nothing is echoed", async () => {
    const { said } = await inTerminal("keys", "\u0003\u001a\u001cq");
    expect(said).toContain("got 3 26 28 113");
    expect(said).toContain("status 0");
    expect(said).not.toContain("^C");
  });

  test("with signal=on Ctrl-C ends the program", async () => {
    const { before, after, said } = await inTerminal("key", "\u0003");
    expect(said).toContain("status 130");
    expect(after).toBe(before);
  });
});
