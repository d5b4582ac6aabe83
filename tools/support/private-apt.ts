// apt in a folder of its own: own lists and state, Debian's keyring, no privileges, nothing of the machine changed.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

export interface PrivateAptOptions {
  readonly folder: string;
  readonly suites: readonly string[];
  /** What apt takes for installed, in the form of dpkg's status file; nothing when empty. */
  readonly status: string;
  /** Sources of packages, instead of packages. */
  readonly hasSources?: boolean;
}

export class PrivateApt {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(options: PrivateAptOptions) {
    const { folder } = options;
    this.#folder = folder;
    for (const name of ["parts", "lists/partial", "archives/partial"]) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    const sources = [
      `Types: ${options.hasSources === true ? "deb-src" : "deb"}`,
      `URIs: ${process.env["RATITE_DEBIAN_MIRROR"] ?? policyMirror()}`,
      `Suites: ${options.suites.join(" ")}`,
      "Components: main",
      `Signed-By: ${KEYRING}`,
    ];
    writeFileSync(join(folder, "debian.sources"), `${sources.join("\n")}\n`);
    writeFileSync(join(folder, "status"), options.status);
    const settings = {
      "Dir::State": folder,
      "Dir::State::lists": join(folder, "lists"),
      "Dir::State::status": join(folder, "status"),
      "Dir::Cache": folder,
      "Dir::Cache::archives": join(folder, "archives"),
      "Dir::Etc::sourcelist": join(folder, "debian.sources"),
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::Etc::preferences": "/dev/null",
      "Dir::Etc::preferencesparts": join(folder, "parts"),
      "Dir::Log": folder,
      "APT::Sandbox::User": "",
      "APT::Update::Post-Invoke": "",
      "Acquire::Languages": "none",
    };
    const configuration = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    writeFileSync(join(folder, "apt.conf"), configuration.join(""));
    this.#env = { ...process.env, LC_ALL: "C", APT_CONFIG: join(folder, "apt.conf") };
  }

  update(): void {
    this.#run("apt-get", ["update", "-q"]);
  }

  /** Fetches packages and what they need beyond what `status` has; the folder of the archives. */
  download(packages: readonly string[]): string {
    this.#run("apt-get", ["install", "-q", "-y", "--no-install-recommends", "--download-only", ...packages]);
    return join(this.#folder, "archives");
  }

  /** Fetches a package's source as its authors released it; the archive. Where `hasSources`. */
  downloadSource(name: string): string {
    this.#run("apt-get", ["source", "-q", "--download-only", "--only-source", "--tar-only", name]);
    const archive = readdirSync(this.#folder).find((each) => each.includes(".orig.tar."));
    if (archive === undefined) throw new Error(`The source of ${name} has no archive of its authors'`);
    return join(this.#folder, archive);
  }

  #run(program: string, args: readonly string[]): void {
    // What apt has to say goes to the error output; its progress is of no use here.
    execFileSync(program, args, { cwd: this.#folder, env: this.#env, stdio: ["ignore", "ignore", "inherit"] });
  }
}

/** The archive that this machine's own packages come from, when they are Debian's. */
function policyMirror(): string {
  const args = ["indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)", "Created-By: Packages"];
  const lines = execFileSync("apt-get", args, { encoding: "utf8" }).split("\n");
  return lines.find((line) => line.endsWith("|Debian|Debian"))?.split("|")[0] ?? DEFAULT_MIRROR;
}
