// Kernel modules with what they depend on, and the index files that modprobe reads (modules.dep(5)).
import { type DecompressPort, compressionOf, readModuleInfo } from "../format/index.ts";

/** The largest module that is unpacked, in bytes. */
const MAX_MODULE_BYTES = 128 * 1024 * 1024;

export interface KernelModule {
  /** With underscores, as the kernel has it. */
  readonly name: string;
  /** Below the module folder, such as "kernel/fs/ext4/ext4.ko". */
  readonly path: string;
  readonly content: Uint8Array;
  /** Names of the modules it needs, direct ones only. */
  readonly depends: readonly string[];
  /** Patterns of modaliases and other names it answers to. */
  readonly aliases: readonly string[];
}

/**
 * The modules called `wanted` and all they depend on, unpacked, dependencies first. `files` are the kernel's modules by
 * path below the module folder, compressed or not. A wanted one that is not there is built into the kernel or was
 * dropped from it, and is left out.
 */
export async function selectModules(
  files: ReadonlyMap<string, Uint8Array>,
  wanted: readonly string[],
  decompress: DecompressPort,
): Promise<KernelModule[]> {
  const pathOf = new Map([...files.keys()].map((path) => [moduleName(path), path]));
  const selected = new Map<string, KernelModule>();
  const visiting = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    const path = pathOf.get(name);
    if (path === undefined || visiting.has(name)) return;
    visiting.add(name);
    const content = await unpackModule(files.get(path)!, decompress);
    const info = readModuleInfo(content);
    const depends = (info.get("depends")?.[0] ?? "")
      .split(",")
      .filter((d) => d !== "")
      .map(normalizeName);
    const softDepends = (info.get("softdep") ?? []).flatMap(preDependencies);
    for (const needed of [...depends, ...softDepends]) await visit(needed);
    selected.set(name, {
      name,
      path: path.replace(/\.ko(?:\.\w+)?$/, ".ko"),
      content,
      depends: [...depends, ...softDepends].filter((d) => pathOf.has(d)),
      aliases: info.get("alias") ?? [],
    });
  };
  for (const name of wanted) await visit(normalizeName(name));
  return [...selected.values()];
}

/** modules.dep and modules.alias for these modules. */
export function moduleIndexes(modules: readonly KernelModule[]): { readonly dep: string; readonly alias: string } {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const dep = modules.map((module) => {
    const paths = closure(module, byName).map((name) => byName.get(name)!.path);
    return `${module.path}:${paths.map((path) => ` ${path}`).join("")}\n`;
  });
  const alias = modules.flatMap(({ name, aliases }) => aliases.map((pattern) => `alias ${pattern} ${name}\n`));
  return { dep: dep.join(""), alias: alias.join("") };
}

/** Everything a module needs; modprobe loads the list from its end, so what others need comes later. */
function closure(module: KernelModule, byName: ReadonlyMap<string, KernelModule>): string[] {
  const ordered: string[] = [];
  const seen = new Set([module.name]);
  const visit = (current: KernelModule): void => {
    for (const name of current.depends) {
      const needed = byName.get(name);
      if (needed === undefined || seen.has(name)) continue;
      seen.add(name);
      visit(needed);
      ordered.unshift(name);
    }
  };
  visit(module);
  return ordered;
}

async function unpackModule(bytes: Uint8Array, decompress: DecompressPort): Promise<Uint8Array> {
  const options = { maxBytes: MAX_MODULE_BYTES };
  const compression = compressionOf(bytes);
  if (compression === "xz") return decompress.unxz(bytes, options);
  if (compression === "zstd") return decompress.unzstd(bytes, options);
  return compression === "gzip" ? decompress.gunzip(bytes, options) : bytes;
}

/** softdep lines read "pre: a b post: c". */
function preDependencies(softdep: string): string[] {
  const pre = /\bpre:\s*(.*?)(?:\s*\bpost:|$)/.exec(softdep)?.[1] ?? "";
  return pre
    .split(/\s+/)
    .filter((name) => name !== "")
    .map(normalizeName);
}

function moduleName(path: string): string {
  return normalizeName((path.split("/").at(-1) ?? "").replace(/\.ko(?:\.\w+)?$/, ""));
}

/** File names have dashes where module names have underscores. */
function normalizeName(name: string): string {
  return name.replaceAll("-", "_");
}
