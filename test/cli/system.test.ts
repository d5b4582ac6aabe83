// The QEMU-shaped program as its users start it: built, in a process of its own.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test, vi } from "vitest";
import {
  echoProgram,
  failProgram,
  FLOOD_BYTES,
  floodProgram,
  resetProgram,
  spinProgram,
} from "../support/firmware-programs.ts";

const program = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ratite-system-"));
afterAll(() => rmSync(folder, { recursive: true }));

function firmware(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
const echo = firmware("echo.bin", echoProgram);
const spin = firmware("spin.bin", spinProgram);
const fail = firmware("fail.bin", failProgram);
const reset = firmware("reset.bin", resetProgram);
const flood = firmware("flood.bin", floodProgram);

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs to the end with `input` on standard input, which then ends. */
function run(line: string, input = ""): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...line.split(" ")], {
    input,
    encoding: "utf8",
    timeout: 30_000,
    maxBuffer: 2 ** 24,
  });
  return { status, out: stdout, err: stderr };
}

interface Started {
  readonly pid: number;
  end(signal: NodeJS.Signals): Promise<Outcome>;
}

/** Starts and waits until `text` stands in the output. */
async function start(line: string, text: string): Promise<Started> {
  const child = spawn(process.execPath, [program, ...line.split(" ")], { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  const closed = new Promise<Outcome>((resolve) => child.on("close", (status) => resolve({ status, out, err })));
  await new Promise<void>((resolve, reject) => {
    child.on("close", () => reject(new Error(`it ended before ${text}: ${out}${err}`)));
    child.stdout.on("data", (chunk) => {
      out += String(chunk);
      if (out.includes(text)) resolve();
    });
  });
  return {
    pid: child.pid!,
    end(signal) {
      child.kill(signal);
      return closed;
    },
  };
}

describe("the serial port", () => {
  test("on standard input and output: pipes, end of input, power off", () => {
    expect(run(`-bios ${echo} -nographic`, "hello q")).toEqual({ status: 0, out: "hello q", err: "" });
  });

  test("everything that the guest wrote before it powered off arrives", () => {
    const { status, out } = run(`-bios ${flood} -display none -serial stdio`);
    expect(status).toBe(0);
    expect(out.length).toBe(FLOOD_BYTES);
  });

  test("a file gets everything too", () => {
    const path = join(folder, "out.txt");
    expect(run(`-bios ${flood} -serial file:${path}`)).toEqual({ status: 0, out: "", err: "" });
    expect(readFileSync(path).length).toBe(FLOOD_BYTES);
  });

  test("Ctrl-A X in the mux ends the program", () => {
    const { status, out } = run(`-bios ${spin} -serial mon:stdio`, "\u0001x");
    expect(status).toBe(0);
    expect(out).toContain("Terminated");
  });

  test("a socket: the machine waits for its peer, then they talk", async () => {
    const path = join(folder, "console");
    const child = spawn(process.execPath, [program, "-bios", echo, "-serial", `unix:${path},server=on`]);
    await new Promise<void>((resolve) => {
      child.stderr.on("data", (chunk) => {
        if (String(chunk).includes("waiting for a connection")) resolve();
      });
    });
    const socket = connect({ path });
    let heard = "";
    socket.on("data", (chunk) => (heard += String(chunk)));
    socket.write("by socket q");
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(status).toBe(0);
    expect(heard).toBe("by socket q");
    expect(existsSync(path)).toBe(false);
  });

  test("a reader that goes away does not end the machine", () => {
    const line = `${process.execPath} ${program} -bios ${flood} -nographic </dev/null | head -c 10; echo " status \${PIPESTATUS[0]}"`;
    const { stdout } = spawnSync("bash", ["-c", line], { encoding: "utf8", timeout: 30_000 });
    expect(stdout).toBe("aaaaaaaaaa status 0\n");
  });
});

describe("the end", () => {
  test("the finisher's failure is the exit status", () => {
    expect(run(`-bios ${fail} -nographic`).status).toBe(7);
  });

  test("-no-reboot ends at the guest's reset", () => {
    expect(run(`-bios ${reset} -nographic -no-reboot`)).toEqual({ status: 0, out: "R", err: "" });
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends it with status 0 and removes the pid file",
    async (signal) => {
      const pidFile = join(folder, `${signal}.pid`);
      const machine = await start(`-bios ${spin} -nographic -pidfile ${pidFile}`, "!");
      expect(readFileSync(pidFile, "utf8")).toMatch(/^\d+\n$/);
      const { status, err } = await machine.end(signal);
      expect(status).toBe(0);
      expect(err).toBe(`ratite-system-riscv64: terminating on signal ${signal}\n`);
      expect(existsSync(pidFile)).toBe(false);
    },
  );

  test("a guest that resets for ever can be ended", async () => {
    const machine = await start(`-bios ${reset} -nographic`, "RRRRR");
    expect((await machine.end("SIGTERM")).status).toBe(0);
  });

  test("-S: nothing runs, and a signal ends it", async () => {
    const pidFile = join(folder, "paused.pid");
    const child = spawn(process.execPath, [program, "-S", "-bios", spin, "-nographic", "-pidfile", pidFile]);
    let out = "";
    child.stdout.on("data", (chunk) => (out += String(chunk)));
    await vi.waitFor(() => expect(existsSync(pidFile)).toBe(true), { timeout: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill("SIGTERM");
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
    expect(out).toBe("");
  });
});

describe("-icount", () => {
  test("four harts that race for the serial port do it twice in the same way", () => {
    const runs = ["first", "second"].map((name) => {
      const [report, console] = [join(folder, `${name}.json`), join(folder, `${name}.console`)];
      const machine = `-M virt -smp 4 -m 16M -bios ${flood} -icount shift=0 -display none`;
      const { status } = run(`${machine} -serial file:${console} -x-report ${report}`);
      return { status, report: readFileSync(report, "utf8"), console: readFileSync(console, "utf8") };
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]).toMatchObject({ status: 0, report: expect.stringContaining('"totalInstructions"') as string });
    expect(runs[0]!.console.length).toBeGreaterThan(FLOOD_BYTES);
  });
});

describe("information and mistakes", () => {
  test("-version and -help print and exit with 0", () => {
    expect(run("-version")).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Ratite emulator version \d/) as string,
    });
    expect(run("-help")).toMatchObject({ status: 0, err: "" });
  });

  test("dumpdtb writes the board's tree and exits", () => {
    const path = join(folder, "virt.dtb");
    expect(run(`-M virt,dumpdtb=${path} -smp 2 -m 256M`)).toEqual({ status: 0, out: "", err: "" });
    expect(readFileSync(path).readUInt32BE(0)).toBe(0xd00dfeed);
  });

  test.each([
    ["-kernel /nonexistent", "-kernel /nonexistent: Could not open '/nonexistent': No such file or directory"],
    ["-kernel /tmp", "-kernel /tmp: Could not open '/tmp': Is a directory"],
    ["-bios /nonexistent", "-bios /nonexistent: Could not open '/nonexistent': No such file or directory"],
    ["-vnc :0", "-vnc :0: This option is not supported: Ratite has no display yet; use -nographic"],
    ["-foo", "-foo: invalid option"],
    ["-drive file=/nonexistent,format=raw,if=virtio", "Could not open '/nonexistent': No such file or directory"],
    ["-nographic -M virt,dumpdtb=/nonexistent/x", "Could not write '/nonexistent/x': No such file or directory"],
    [`-bios ${echo} -pidfile /nonexistent/p`, "Cannot create PID file '/nonexistent/p': No such file or directory"],
    [`-bios ${echo} -serial file:/nonexistent/f`, "Could not open '/nonexistent/f': No such file or directory"],
    ["-kernel /etc/passwd", "-kernel /etc/passwd: Kernel"],
    [`-bios ${echo} -m 4G`, "-m 4096M: "],
    [`-bios ${echo} -M virt,aia=plic`, "-machine aia=plic: "],
    [`-bios ${echo} -serial null -device virtconsole`, "-device virtconsole: "],
    ["-bios none", "-kernel FILE or -bios FILE would do"],
  ])("%s is one line and status 1", (line, expected) => {
    const { status, out, err } = run(line);
    expect(status).toBe(1);
    expect(out).toBe("");
    expect(err).toMatch(/^ratite-system-riscv64: [^\n]*\n$/);
    expect(err).toContain(expected);
  });

  test.each([
    ["bootorder", "duplicate fw_cfg file name: bootorder"],
    [`opt/${"x".repeat(52)}`, "cannot name a fw_cfg file; 1 to 55 ASCII characters would do"],
  ])("-fw_cfg %s, which the device cannot have, is told by the option", (name, message) => {
    const { status, err } = run(`-bios ${echo} -fw_cfg ${name},string=x`);
    expect(status).toBe(1);
    expect(err).toContain(`-fw_cfg ${name},string=x: `);
    expect(err).toContain(message);
  });

  test("an image of another format is not taken as raw by mistake", () => {
    const path = firmware("disk.qcow2", Buffer.concat([Buffer.from("QFI\u00fb", "latin1"), Buffer.alloc(1020)]));
    const { status, err } = run(`-bios ${echo} -nographic -drive file=${path},if=virtio`);
    expect(status).toBe(1);
    expect(err).toContain("looks like a qcow2 image");
  });
});

test.runIf(process.platform === "linux")("-mem-prealloc has all of the RAM from the start", async () => {
  const residentMebibytes = async (options: string): Promise<number> => {
    const machine = await start(`-bios ${spin} -nographic -m 256M${options}`, "!");
    const status = readFileSync(`/proc/${machine.pid}/status`, "latin1");
    await machine.end("SIGTERM");
    return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)![1]) / 1024;
  };
  const more = (await residentMebibytes(" -mem-prealloc")) - (await residentMebibytes(""));
  expect(more).toBeGreaterThan(200);
  expect(more).toBeLessThan(320);
});
