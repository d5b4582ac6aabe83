// Runs the kernel's own IOMMUFD selftest, unmodified, against the software host and prints the table:
//   npm run conformance:kernel [-- --source DIR] [-- -f FIXTURE …]
// The source is Debian's linux-source-7.2 (trixie-backports), fetched into the cache through a private apt root, verified
// with Debian's keyring; no root is needed. `--source DIR` names an unpacked tree instead. Needs gcc, make and libcap-dev.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const VERSION = "7.2";
const PACKAGE = `linux-source-${VERSION}`;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR = process.env["RATITE_DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
const ARCH = process.arch === "arm64" ? "arm64" : "x86";

const xdg = process.env["XDG_CACHE_HOME"];
const cache = join(xdg !== undefined && xdg !== "" ? xdg : join(homedir(), ".cache"), "ratite", "conformance");

function run(program: string, args: readonly string[], cwd = cache, env: NodeJS.ProcessEnv = process.env): string {
  return execFileSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  });
}

/** The parts of the tree that the headers and the test need; the path of the unpacked tree. */
function fetchSource(): string {
  const tree = join(cache, PACKAGE);
  if (existsSync(tree)) return tree;
  const root = join(cache, "apt");
  for (const folder of ["lists/partial", "archives/partial"]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "status"), "");
  writeFileSync(join(root, "sources.list"), `deb [signed-by=${KEYRING}] ${MIRROR} trixie-backports main\n`);
  const settings = {
    "Dir::State": root,
    "Dir::State::lists": join(root, "lists"),
    "Dir::State::status": join(root, "status"),
    "Dir::Cache": root,
    "Dir::Etc::sourcelist": join(root, "sources.list"),
    "Dir::Etc::sourceparts": join(root, "none"),
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Sandbox::User": "",
  };
  writeFileSync(
    join(root, "apt.conf"),
    Object.entries(settings)
      .map(([key, value]) => `${key} "${value}";\n`)
      .join(""),
  );
  const env = { ...process.env, APT_CONFIG: join(root, "apt.conf") };
  run("apt-get", ["update", "-q"], root, env);
  run("apt-get", ["download", "-q", PACKAGE], root, env);
  const archive = readdirSync(root).find((name) => name.startsWith(`${PACKAGE}_`) && name.endsWith(".deb"));
  if (archive === undefined) throw new Error(`apt-get fetched no ${PACKAGE}`);
  process.stdout.write(`source: ${archive}\n`);
  run("dpkg-deb", ["-x", archive, "unpacked"], root);
  const wanted = [
    ..."Makefile Kbuild scripts include usr/include tools/scripts tools/include drivers/iommu/iommufd".split(" "),
    ...`arch/${ARCH}/Makefile* arch/${ARCH}/include tools/testing/selftests/iommu`.split(" "),
    "tools/testing/selftests/kselftest*",
    ARCH === "x86" ? "arch/x86/entry/syscalls" : "arch/arm64/tools",
  ].map((path) => `${PACKAGE}/${path}`);
  const partial = join(cache, "partial");
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  run("tar", ["xf", join(root, "unpacked/usr/src", `${PACKAGE}.tar.xz`), "-C", partial, "--wildcards", ...wanted]);
  renameSync(join(partial, PACKAGE), tree);
  rmSync(root, { recursive: true });
  return tree;
}

/** Builds the test as it is; the path of the program. */
function build(tree: string): string {
  const objects = join(cache, "build");
  const headers = join(objects, "usr/include");
  mkdirSync(objects, { recursive: true });
  if (!existsSync(join(headers, "linux/iommufd.h")))
    run("make", ["-s", "headers", `O=${objects}`, `ARCH=${ARCH}`], tree);
  const program = join(cache, "iommufd");
  const selftests = join(tree, "tools/testing/selftests");
  const flags = ["-Wall", "-O2", "-Wno-unused-function", "-D_GNU_SOURCE=", "-isystem", headers, "-I", selftests];
  run("gcc", [...flags, "-o", program, join(selftests, "iommu/iommufd.c"), "-lcap"], tree);
  return program;
}

interface Row {
  passed: number;
  skipped: number;
  readonly failed: string[];
}

function main(): number {
  const args = process.argv.slice(2);
  const at = args.indexOf("--source");
  const source = at < 0 ? undefined : args.splice(at, 2)[1];
  mkdirSync(cache, { recursive: true });
  const program = build(source ?? fetchSource());
  const started = performance.now();
  // As `ratite host exec --kernel-mock -- PROGRAM` does it, without the rest of the command line.
  const commands = join(import.meta.dirname, "../src/cli/host/commands.ts");
  const words = ["exec", "--kernel-mock", "--", program, ...args];
  const code = `import { hostCommand } from ${JSON.stringify(commands)}; process.exitCode = await hostCommand(${JSON.stringify(words)});`;
  const result = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", code], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  });
  const rows = new Map<string, Row>();
  for (const line of result.stdout.split("\n")) {
    const m = /^(not )?ok \d+ (\S+)(.*)$/.exec(line);
    if (m === null) continue;
    const fixture = m[2]!.slice(0, m[2]!.lastIndexOf("."));
    let row = rows.get(fixture);
    if (row === undefined) rows.set(fixture, (row = { passed: 0, skipped: 0, failed: [] }));
    if (m[1] !== undefined) row.failed.push(m[2]!);
    else if (m[3]!.includes("SKIP")) row.skipped++;
    else row.passed++;
  }
  const sum = { passed: 0, skipped: 0, failed: 0 };
  const width = Math.max(10, ...[...rows.keys()].map((name) => name.length));
  process.stdout.write(`${"fixture".padEnd(width)}  passed  skipped  failed\n`);
  for (const [name, row] of rows) {
    sum.passed += row.passed;
    sum.skipped += row.skipped;
    sum.failed += row.failed.length;
    const cells = [row.passed, row.skipped, row.failed.length].map((n, i) => String(n).padStart([6, 7, 6][i]!));
    process.stdout.write(`${name.padEnd(width)}  ${cells.join("  ")}\n`);
  }
  for (const row of rows.values()) {
    for (const name of row.failed) process.stdout.write(`failed: ${name}\n`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${sum.passed} passed, ${sum.skipped} skipped, ${sum.failed} failed in ${seconds} s\n`);
  if (rows.size === 0) {
    process.stdout.write(result.stdout);
    return 1;
  }
  return sum.failed > 0 || result.status !== 0 ? 1 : 0;
}

process.exitCode = main();
