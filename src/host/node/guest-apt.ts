// Debian's archive through apt, in a private root: own lists, state and configuration; no privileges.
import { access, constants, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type GuestArchive,
  GuestError,
  type GuestSuite,
  type PackageRecord,
  type WorkOptions,
} from "../../guest/port.ts";
import { type AptRun, explainApt, runApt } from "./guest-apt-run.ts";
import { type Transport, downloadFile } from "./guest-download.ts";
import { cacheFailed, makeFolder } from "./guest-folders.ts";

/** The public default of Debian itself, used where the machine's apt policy names no Debian mirror. */
const DEFAULT_MIRROR = "http://deb.debian.org/debian";
/** Where the package debian-archive-keyring puts it. */
const KEYRINGS = ["gpg", "pgp"].map((ending) => `/usr/share/keyrings/debian-archive-keyring.${ending}`);
const APT_HELPER = "/usr/lib/apt/apt-helper";
const PROGRESS_POLL_MS = 250;

/**
 * What of the machine's own apt configuration holds for us too: proxies and certificates, and how old a release file
 * may be. Nothing else of it is read, so that hooks and local options stay out.
 */
const INHERITED =
  /^Acquire::(?:https?|ftp|tor|Check-Valid-Until|Check-Date|Max-ValidTime|Min-ValidTime|ForceIPv[46]|Retries)\b/;

export interface AptArchiveOptions {
  readonly cacheFolder: string;
  readonly mirror?: string;
  readonly keyring?: string;
}

/** What a run of apt needs: set up once. */
interface Setting {
  readonly mirror: string;
  readonly keyring: string;
  readonly inherited: readonly string[];
}

export class AptArchive implements GuestArchive {
  readonly #options: AptArchiveOptions;
  #setting: Promise<Setting> | undefined;

  constructor(options: AptArchiveOptions) {
    this.#options = options;
  }

  async readIndex(suite: GuestSuite, options: WorkOptions): Promise<{ text: string; origin: string }> {
    this.#setting ??= this.#prepare();
    const setting = await this.#setting;
    let last: GuestError | undefined;
    for (const name of [suite.codename, ...suite.aliases]) {
      if (last !== undefined) {
        options.report({ phase: "notice", subject: `${last.message}; trying the suite as ${name}` });
      }
      try {
        return await this.#readSuite(setting, name, suite, options);
      } catch (error) {
        // A mirror that is being updated may still have the suite whole under its other name.
        if (!(error instanceof GuestError) || !["outOfStep", "noRelease"].includes(error.code)) throw error;
        last ??= error;
      }
    }
    throw last!;
  }

  async fetch(record: PackageRecord, options: WorkOptions): Promise<Uint8Array> {
    this.#setting ??= this.#prepare();
    const setting = await this.#setting;
    const subject = `${record.name} ${record.version}`;
    const progress = (doneBytes: number): void =>
      options.report({ phase: "download", subject, doneBytes, totalBytes: record.lengthBytes });
    const request = {
      // apt's own spelling: what may stand in a path stays as it is, a plus sign does not.
      url: `${setting.mirror}/${record.path.split("/").map(encodeURIComponent).join("/")}`,
      path: join(this.#options.cacheFolder, "downloads", record.sha256),
      lengthBytes: record.lengthBytes,
      sha256: record.sha256,
      progress,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    progress(0);
    try {
      return await downloadFile(request, needsApt(setting) ? this.#throughApt(setting) : undefined);
    } catch (error) {
      throw (error as NodeJS.ErrnoException).syscall === undefined ? error : cacheFailed(request.path, error);
    }
  }

  async discardDownloads(): Promise<void> {
    for (const folder of ["apt", "downloads"]) {
      await rm(join(this.#options.cacheFolder, folder), { recursive: true, force: true });
    }
  }

  async #readSuite(
    setting: Setting,
    name: string,
    suite: GuestSuite,
    options: WorkOptions,
  ): Promise<{ text: string; origin: string }> {
    const origin = `${setting.mirror} ${name}`;
    options.report({ phase: "index", subject: origin });
    const configuration = await this.#writeRoot(setting, name);
    const update = await this.#apt(configuration, ["update"], options);
    if (update.status !== 0 || /^[WE]: (?:Failed to fetch|GPG error|The repository)/m.test(update.errors)) {
      throw explainApt(update, { origin, keyring: setting.keyring });
    }
    const format = "$(CODENAME)|$(FILENAME)";
    const targets = await this.#apt(
      configuration,
      ["indextargets", "--format", format, "Created-By: Packages"],
      options,
    );
    const [codename, path] = targets.output.trim().split("\n")[0]?.split("|") ?? [];
    if (codename !== suite.codename || path === undefined) {
      throw new GuestError(
        "noRelease",
        `${origin} is the suite "${codename ?? ""}"; one that has ${suite.codename} would do`,
        { subject: origin },
      );
    }
    // Latin-1 keeps one byte a character: nothing but ASCII fields is used, and the text has 50 million of them.
    return { text: await readFile(path, "latin1"), origin };
  }

  async #prepare(): Promise<Setting> {
    await this.#apt(undefined, ["--version"]);
    const keyring = await findKeyring(this.#options.keyring);
    const mirror = checkMirror(this.#options.mirror ?? (await this.#policyMirror()));
    const dump = await runApt("apt-config", ["dump", "Acquire"], {});
    const inherited = dump.output.split("\n").filter((line) => INHERITED.test(line) && /^[\w:.-]+ ".+";$/.test(line));
    return { mirror, keyring, inherited };
  }

  /** The archive that this machine's own packages come from, when they are Debian's. */
  async #policyMirror(): Promise<string> {
    const format = "$(REPO_URI)|$(ORIGIN)|$(LABEL)";
    const targets = await this.#apt(undefined, ["indextargets", "--format", format, "Created-By: Packages"]);
    const entries = targets.output.split("\n").map((line) => line.split("|"));
    const found = entries.find(([, origin, label]) => origin === "Debian" && label === "Debian")?.[0];
    if (found !== undefined) return found;
    // Before its first update a machine knows its sources by address only.
    const addresses = await this.#apt(undefined, ["--print-uris", "update"]);
    return /^'([^']+\/debian)\/dists\//m.exec(addresses.output)?.[1] ?? DEFAULT_MIRROR;
  }

  /** The folders and the two files that make apt work for riscv64 and for us alone; gives the configuration's path. */
  async #writeRoot(setting: Setting, name: string): Promise<string> {
    const root = join(this.#options.cacheFolder, "apt", name);
    if (/["\n]/.test(root)) {
      throw new GuestError("cacheFailed", `apt takes no folder with a quote in its name: '${root}'`, { subject: root });
    }
    const folders = ["etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache", "log"];
    const sources = [
      "Types: deb",
      `URIs: ${setting.mirror}`,
      `Suites: ${name}`,
      "Components: main",
      `Signed-By: ${setting.keyring}`,
      "",
    ];
    const configuration = [
      // A machine without a network should hear so soon; the machine's own setting, if there is one, comes after.
      `Acquire::Retries "1";`,
      ...setting.inherited,
      `Dir::Etc "${root}/etc";`,
      `Dir::Etc::sourcelist "${root}/etc/ratite.sources";`,
      `Dir::Etc::sourceparts "/dev/null";`,
      `Dir::State "${root}/state";`,
      `Dir::State::status "${root}/state/status";`,
      `Dir::Cache "${root}/cache";`,
      `Dir::Log "${root}/log";`,
      `APT::Architecture "riscv64";`,
      `APT::Architectures { "riscv64"; };`,
      // Root's downloads would otherwise be made by a user who cannot reach this folder.
      `APT::Sandbox::User "";`,
      `Acquire::Languages "none";`,
      `Acquire::GzipIndexes "false";`,
      `Acquire::PDiffs "false";`,
      "",
    ];
    try {
      for (const folder of folders) await makeFolder(join(root, folder));
      await writeFile(join(root, "state/status"), "");
      await writeFile(join(root, "etc/ratite.sources"), sources.join("\n"));
      await writeFile(join(root, "etc/ratite.conf"), configuration.join("\n"));
    } catch (cause) {
      throw cacheFailed(root, cause);
    }
    return join(root, "etc/ratite.conf");
  }

  /** apt's own methods know proxies and the schemes beyond HTTP. */
  #throughApt(setting: Setting): Transport {
    return async (request, part) => {
      const configuration = await this.#writeRoot(setting, "download");
      const poll = setInterval(() => {
        stat(part).then(
          ({ size }) => request.progress?.(size),
          () => {},
        );
      }, PROGRESS_POLL_MS);
      try {
        const args = ["download-file", request.url, part, `SHA256:${request.sha256}`];
        const run = await runApt(APT_HELPER, args, {
          configuration,
          ...(request.signal === undefined ? {} : { signal: request.signal }),
        });
        if (run.status !== 0) {
          const error = explainApt(run, { origin: request.url, keyring: setting.keyring });
          // A suite that is not there is one thing, a file that its index names is another.
          throw error.code === "noRelease" ? new GuestError("outOfStep", error.message, { cause: error }) : error;
        }
      } finally {
        clearInterval(poll);
      }
    };
  }

  #apt(configuration: string | undefined, args: string[], options?: WorkOptions): Promise<AptRun> {
    return runApt("apt-get", args, {
      ...(configuration === undefined ? {} : { configuration }),
      ...(options?.signal === undefined ? {} : { signal: options.signal }),
    });
  }
}

async function findKeyring(asked: string | undefined): Promise<string> {
  for (const path of asked === undefined ? KEYRINGS : [asked]) {
    if (
      await access(path, constants.R_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new GuestError(
    "noKeyring",
    asked === undefined
      ? "Debian's archive keyring is not installed, so its packages cannot be verified; the package debian-archive-keyring or --keyring FILE would do"
      : `The keyring "${asked}" cannot be read; a file with the archive's public keys would do`,
    { subject: asked ?? KEYRINGS[0]! },
  );
}

function checkMirror(mirror: string): string {
  if (!/^[a-z][a-z0-9+.-]*:[^\s|"]+$/i.test(mirror)) {
    throw new GuestError("badMirror", `"${mirror}" is no address of an archive; one like ${DEFAULT_MIRROR} would do`, {
      subject: mirror,
    });
  }
  return mirror.replace(/\/+$/, "");
}

function needsApt(setting: Setting): boolean {
  const hasProxy =
    setting.inherited.some((line) => /::Proxy/i.test(line)) ||
    ["http_proxy", "https_proxy", "all_proxy"].some(
      (name) => (process.env[name] ?? process.env[name.toUpperCase()]) !== undefined,
    );
  return hasProxy || !/^https?:/i.test(setting.mirror);
}
