// Fetches the QEMU that behaviour is compared with, and OpenSBI of the same suite, without touching what is installed:
//   npm run reference:qemu [-- --again]
// From the backports of this Debian, through a private apt root verified with Debian's keyring, unpacked into the cache; no
// root is needed. Nothing is fetched where the system's QEMU is new enough. `--again` fetches what is there anew.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { moduleFolder, referenceQemu, referenceRoot } from "../test/support/reference-qemu.ts";
import { PrivateApt } from "./support/private-apt.ts";

const PACKAGES = ["qemu-system-riscv", "opensbi"];

/** What is installed here, without an older QEMU that the newer one would have to replace. */
function installedBeside(): string {
  const stanzas = readFileSync("/var/lib/dpkg/status", "utf8").split("\n\n");
  return stanzas.filter((stanza) => !/^Package: (qemu|opensbi)/m.test(stanza)).join("\n\n");
}

function codename(): string {
  const release = readFileSync("/etc/os-release", "utf8");
  const name = /^VERSION_CODENAME="?(\w+)"?$/m.exec(release)?.[1];
  if (!/^ID="?debian"?$/m.test(release) || name === undefined) {
    throw new Error("This is no Debian release; install QEMU 10 or newer from your distribution instead");
  }
  return name;
}

function fetchAndUnpack(): void {
  const root = referenceRoot();
  const work = `${root}.partial-${process.pid}`;
  const suite = codename();
  try {
    const apt = new PrivateApt({
      folder: join(work, "apt"),
      suites: [suite, `${suite}-backports`],
      status: installedBeside(),
    });
    apt.update();
    const archives = apt.download(PACKAGES.map((name) => `${name}/${suite}-backports`));
    const unpacked = join(work, "root");
    for (const name of readdirSync(archives).filter((each) => each.endsWith(".deb"))) {
      process.stdout.write(`${decodeURIComponent(name)}\n`);
      execFileSync("dpkg-deb", ["-x", join(archives, name), unpacked]);
    }
    rmSync(root, { recursive: true, force: true });
    renameSync(unpacked, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * QEMU looks for a module that it does not find beside itself where the system's QEMU has it, and gives up over one of another
 * build. Empty files in their place are passed over.
 */
function hideSystemModules(): void {
  const own = moduleFolder(referenceRoot());
  const system = moduleFolder("/");
  if (own === undefined || system === undefined) return;
  for (const name of readdirSync(system)) if (!existsSync(join(own, name))) writeFileSync(join(own, name), "");
}

if (process.argv.includes("--again")) rmSync(referenceRoot(), { recursive: true, force: true });
// A process looks only once, so the answer after fetching is a later process's.
const before = await referenceQemu();
if ("missing" in before) {
  try {
    fetchAndUnpack();
    hideSystemModules();
    process.stdout.write(`${referenceRoot()}\n`);
  } catch (error) {
    process.stderr.write(`reference:qemu: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
} else {
  hideSystemModules();
  process.stdout.write(`QEMU ${before.version}: ${before.command[0]}\n`);
}
