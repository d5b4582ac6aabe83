// Fetches the QMP client of QEMU's own project (Python's qemu.qmp) into the cache, for test/interop/python-qmp.test.ts:
//   npm run reference:qmp
// From QEMU's source in Debian's archive, through a private apt root verified with Debian's keyring; no root is needed, and
// nothing of it becomes ours. Nothing is fetched where python3 has the module.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { qmpPython, referenceQmpRoot } from "../test/support/reference-qmp.ts";
import { PrivateApt } from "./support/private-apt.ts";

/** Later sources of QEMU have the client as a built package instead. */
const SUITE = "trixie";

function fetchClient(): void {
  const root = referenceQmpRoot();
  const work = `${root}.partial-${process.pid}`;
  try {
    const apt = new PrivateApt({ folder: join(work, "apt"), suites: [SUITE], status: "", hasSources: true });
    apt.update();
    const archive = apt.downloadSource("qemu");
    const unpacked = join(work, "root");
    mkdirSync(unpacked);
    const strip = ["--strip-components=2", "--wildcards"];
    execFileSync("tar", ["-xf", archive, "-C", unpacked, ...strip, "*/python/qemu/qmp"], { stdio: "inherit" });
    if (!existsSync(join(unpacked, "qemu/qmp"))) throw new Error(`${archive} has no python/qemu/qmp`);
    rmSync(root, { recursive: true, force: true });
    renameSync(unpacked, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  if ("missing" in qmpPython()) fetchClient();
  const found = qmpPython();
  if ("missing" in found) throw new Error(`${referenceQmpRoot()} was fetched, and python3 does not take it`);
  const at = ["-c", "import qemu.qmp; print(qemu.qmp.__file__)"];
  process.stdout.write(execFileSync("python3", at, { env: found.env }));
} catch (error) {
  process.stderr.write(`reference:qmp: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
