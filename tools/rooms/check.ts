// Checks a tree of sources against the table. Pure: it gets paths and texts, and returns what is wrong.
import { posix } from "node:path";
import { readSource, type ImportFact, type SourceFacts } from "./source-facts.ts";
import { DOOR_FILE, README_LINE_LIMIT, ROOMS, SOURCE_LINE_LIMIT, type RoomRule } from "./table.ts";

export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly reason: string;
}

interface Home {
  /** `device`, `target/riscv`; `door index` for a file directly under src/. */
  readonly room: string;
  readonly rule: RoomRule;
}

interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly line: number;
  readonly isTypeOnly: boolean;
}

/** @param files path from the repository's root (`src/base/index.ts`) to text; sources and READMEs under src/ */
export function checkRooms(files: ReadonlyMap<string, string>): Problem[] {
  const problems: Problem[] = [];
  const arrows: Arrow[] = [];
  for (const [path, text] of files) {
    if (!path.startsWith("src/") || !path.endsWith(".ts")) continue;
    const home = homeOf(path);
    if (home === undefined) {
      problems.push({ path, line: 1, reason: "belongs to no room of the table in tools/rooms/table.ts" });
      continue;
    }
    problems.push(...checkLength(path, text));
    const facts = readSource(path, text);
    problems.push(...checkPlatform(path, home, facts));
    for (const found of facts.imports) {
      const reason = checkImport(path, home, found, files);
      if (reason !== undefined) problems.push({ path, line: found.line, reason });
      const to = resolve(path, found.specifier);
      if (to !== undefined && !isTest(path)) arrows.push({ from: path, to, ...found });
    }
  }
  problems.push(...checkFolders(files), ...fileCycles(arrows), ...roomCycles(arrows));
  return problems.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

function homeOf(path: string): Home | undefined {
  const parts = path.split("/").slice(1);
  if (parts.length === 1) {
    const door = DOOR_FILE.exec(parts[0]!)?.groups?.["door"];
    if (door === undefined) return undefined;
    const joins = { mayImport: ["*", "*/*"], mustNotKnow: "nothing: it joins the rooms" };
    const rule: RoomRule = door === "index" ? joins : { ...joins, touchesPlatform: true };
    return { room: `door ${door}`, rule };
  }
  const [first, second] = parts as [string, string];
  if (ROOMS[first] !== undefined) return { room: first, rule: ROOMS[first] };
  const rule = parts.length > 2 ? (ROOMS[`${first}/${second}`] ?? ROOMS[`${first}/*`]) : undefined;
  return rule === undefined ? undefined : { room: `${first}/${second}`, rule };
}

/** Tests and what only they use. Contract suites are not among them: doors give them to the members in other rooms. */
function isTest(path: string): boolean {
  return /\.test\.ts$|\/testing\/|\/test-[^/]+\.ts$/.test(path);
}

function resolve(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** Why `path` may not have this import; undefined when it may. */
function checkImport(
  path: string,
  home: Home,
  found: ImportFact,
  files: ReadonlyMap<string, string>,
): string | undefined {
  const to = resolve(path, found.specifier);
  if (to === undefined) return checkPackage(path, home, found.specifier);
  if (!to.startsWith("src/")) return isTest(path) ? undefined : `${found.specifier} lies outside src/`;
  if (!files.has(to)) return `${found.specifier} is not there (imports carry .ts)`;
  if (isTest(to) && !isTest(path)) return `${to} is for tests only`;
  const target = homeOf(to);
  if (target === undefined || target.room === home.room) return undefined;
  if (target.room.startsWith("door ")) return `no room imports a door of the package (${to})`;
  const isDoor = /\/(?:index|port)\.ts$/.test(to);
  if (!isDoor) return `${to} lies past the door of ${target.room}; import its index.ts or port.ts`;
  if (isTest(path)) return undefined;
  if (["base", ...home.rule.mayImport].some((allowed) => covers(allowed, to))) return undefined;
  const allowed = home.rule.mayImport.length === 0 ? "base only" : `base, ${home.rule.mayImport.join(", ")}`;
  return `${home.room} may not import ${to.slice(4)}: it may import ${allowed}`;
}

/** `allowed` as in RoomRule.mayImport; `to` is a door. */
function covers(allowed: string, to: string): boolean {
  const pattern = allowed.endsWith(".ts") ? `src/${allowed}` : `src/${allowed}/(index|port).ts`;
  return new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]+")}$`).test(to);
}

function checkPackage(path: string, home: Home, specifier: string): string | undefined {
  if (isTest(path) || home.rule.touchesPlatform === true) return undefined;
  return specifier.startsWith("node:")
    ? `${specifier} is a platform module; ${home.room} asks a port instead`
    : `${specifier} is a package; the core has no dependencies`;
}

function checkPlatform(path: string, home: Home, facts: SourceFacts): Problem[] {
  const problems: Problem[] = [];
  if (facts.syntaxError !== undefined) {
    problems.push({ path, line: facts.syntaxError.line, reason: facts.syntaxError.message });
  }
  if (isTest(path) || home.rule.touchesPlatform === true) return problems;
  for (const { name, line } of facts.platformUses) {
    problems.push({ path, line, reason: `${name} is a platform facility; ${home.room} asks a port instead` });
  }
  return problems;
}

function checkLength(path: string, text: string): Problem[] {
  const lineCount = countLines(text);
  if (lineCount <= SOURCE_LINE_LIMIT || /^\/\/ (?:table|generated):/.test(text)) return [];
  return [{ path, line: SOURCE_LINE_LIMIT + 1, reason: `has ${lineCount} lines; ${SOURCE_LINE_LIMIT} is the limit` }];
}

function checkFolders(files: ReadonlyMap<string, string>): Problem[] {
  const rooms = new Map<string, RoomRule>();
  for (const path of files.keys()) {
    const home = path.startsWith("src/") && path.endsWith(".ts") ? homeOf(path) : undefined;
    if (home !== undefined && !home.room.startsWith("door ")) rooms.set(home.room, home.rule);
  }
  const problems: Problem[] = [];
  for (const [room, rule] of rooms) {
    const readmePath = `src/${room}/README.md`;
    const readme = files.get(readmePath);
    if (readme === undefined) {
      problems.push({
        path: readmePath,
        line: 1,
        reason: "is missing: what the room is, must never know, where to start",
      });
    } else if (countLines(readme) > README_LINE_LIMIT) {
      const reason = `has ${countLines(readme)} lines; ${README_LINE_LIMIT} is the limit`;
      problems.push({ path: readmePath, line: README_LINE_LIMIT + 1, reason });
    }
    if (rule.isProgram !== true && !files.has(`src/${room}/index.ts`)) {
      problems.push({ path: `src/${room}/index.ts`, line: 1, reason: "is missing: a room has one door" });
    }
  }
  return problems;
}

function countLines(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}

/** Cycles that exist at run time: each is reported once, where it closes. */
function fileCycles(arrows: readonly Arrow[]): Problem[] {
  return cycles(arrows.filter((arrow) => !arrow.isTypeOnly && arrow.from !== arrow.to)).map(({ path, closing }) => ({
    path: closing.from,
    line: closing.line,
    reason: `closes an import cycle: ${path.join(" → ")}`,
  }));
}

/** Cycles between rooms, type imports included. */
function roomCycles(arrows: readonly Arrow[]): Problem[] {
  const between = arrows
    .map((arrow) => ({ arrow, from: homeOf(arrow.from)?.room, to: homeOf(arrow.to)?.room }))
    .filter(({ from, to }) => from !== undefined && to !== undefined && from !== to)
    .map(({ arrow, from, to }) => ({ ...arrow, from: from!, to: to!, at: arrow.from }));
  return cycles(between).map(({ path, closing }) => ({
    path: closing.at,
    line: closing.line,
    reason: `closes a cycle of rooms: ${path.join(" → ")}`,
  }));
}

function cycles<A extends { readonly from: string; readonly to: string }>(
  arrows: readonly A[],
): { path: string[]; closing: A }[] {
  const byFrom = new Map<string, A[]>();
  for (const arrow of arrows) byFrom.set(arrow.from, [...(byFrom.get(arrow.from) ?? []), arrow]);
  const found: { path: string[]; closing: A }[] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const visit = (node: string): void => {
    trail.push(node);
    for (const arrow of byFrom.get(node) ?? []) {
      const at = trail.indexOf(arrow.to);
      if (at >= 0) found.push({ path: [...trail.slice(at), arrow.to], closing: arrow });
      else if (!finished.has(arrow.to)) visit(arrow.to);
    }
    trail.pop();
    finished.add(node);
  };
  for (const node of byFrom.keys()) if (!finished.has(node)) visit(node);
  return found;
}
