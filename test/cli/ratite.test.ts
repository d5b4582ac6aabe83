// The friendly program as its users start it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const program = fileURLToPath(new URL("../../dist/bin/ratite.js", import.meta.url));
const cache = mkdtempSync(join(tmpdir(), "ratite-cache-"));
afterAll(() => rmSync(cache, { recursive: true }));

function run(line: string): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, ...line.split(" ").filter((w) => w !== "")],
    {
      input: "",
      encoding: "utf8",
      timeout: 30_000,
      env: { ...process.env, XDG_CACHE_HOME: cache },
    },
  );
  return { status, out: stdout, err: stderr };
}

describe("ratite", () => {
  test("--version and --help", () => {
    expect(run("--version").out).toMatch(/^Ratite emulator version \d/);
    const { status, out } = run("--help");
    expect(status).toBe(0);
    expect(out).toContain("Example: ratite run debian --memory 1G --cpus 2 --drive disk.img");
    expect(out.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("without a command the help goes to standard error", () => {
    expect(run("")).toMatchObject({ status: 1, out: "", err: expect.stringContaining("usage: ratite") as string });
  });

  test("an empty cache says how to fill it", () => {
    const { status, out } = run("guest list");
    expect(status).toBe(0);
    expect(out).toContain("nothing; ratite guest fetch debian");
    expect(out).toContain("debian-installer");
  });

  test("removing what is not there is no error", () => {
    expect(run("guest remove debian")).toEqual({ status: 0, out: "debian is not in the cache\n", err: "" });
  });

  test.each([
    ["runn", "runn: Unknown command; did you mean 'ratite run'?"],
    ["frobnicate", "ratite --help lists the commands"],
    ["guest fecth", "guest fecth: Unknown command; did you mean 'ratite guest fetch'?"],
    ["guest remove", "Name a guest"],
    ["run debain", "debain: There is no guest of this name; did you mean debian?"],
    ["run debian --memroy 1G", "--memroy: invalid option; did you mean --memory?"],
    ["run debian --memory lots", "--memory lots: Parameter 'memory' expects a size"],
    ["run debian --cpus 0", "--cpus 0: Parameter 'cpus' expects an integer from 1 to 512"],
    ["run debian --nvme a.img --no-nvme", "--nvme a.img: --no-nvme leaves out what --nvme asks for"],
    ["run debian -m 1G", "QEMU's options go after --"],
    ["run debian -- -vnc :0", "-vnc :0: This option is not supported"],
    ["run debian trixie", "One guest at a time"],
  ])("%s", (line, expected) => {
    const { status, err } = run(line);
    expect(status).toBe(1);
    expect(err).toContain(expected);
    expect(err).toMatch(/^ratite: [^\n]*\n$/);
  });
});
