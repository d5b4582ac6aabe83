// What the check needs to know of one source file: its imports, and the platform facilities it names.
import { parseSync } from "oxc-parser";
import { PLATFORM_GLOBALS, PLATFORM_MEMBERS } from "./table.ts";

export interface ImportFact {
  readonly specifier: string;
  readonly line: number;
  /** Erased at run time. */
  readonly isTypeOnly: boolean;
}

export interface SourceFacts {
  readonly imports: readonly ImportFact[];
  readonly platformUses: readonly { readonly name: string; readonly line: number }[];
  readonly syntaxError: { readonly message: string; readonly line: number } | undefined;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

export function readSource(path: string, source: string): SourceFacts {
  const { module, program, errors } = parseSync(path, source);
  const lineAt = (offset: number): number => source.slice(0, offset).split("\n").length;
  const imports: ImportFact[] = [];
  for (const found of module.staticImports) {
    const isTypeOnly = found.entries.length > 0 && found.entries.every((entry) => entry.isType);
    imports.push({ specifier: found.moduleRequest.value, line: lineAt(found.start), isTypeOnly });
  }
  for (const found of module.staticExports) {
    const from = found.entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest;
    if (from === undefined || from === null) continue;
    const isTypeOnly = found.entries.every((entry) => entry.isType);
    imports.push({ specifier: from.value, line: lineAt(found.start), isTypeOnly });
  }
  for (const found of module.dynamicImports) {
    const text = source.slice(found.moduleRequest.start, found.moduleRequest.end);
    imports.push({ specifier: text.replaceAll(/^["'`]|["'`]$/g, ""), line: lineAt(found.start), isTypeOnly: false });
  }
  const platformUses = usesOf(program as unknown as Node).map(({ name, start }) => ({ name, line: lineAt(start) }));
  const error = errors[0];
  const syntaxError =
    error === undefined ? undefined : { message: error.message, line: lineAt(error.labels[0]?.start ?? 0) };
  return { imports, platformUses, syntaxError };
}

/** Names and types stand here, not values. */
const TYPE_KEYS = new Set(["typeAnnotation", "typeArguments", "typeParameters", "returnType", "superTypeArguments"]);
/** Non-computed names of members stand under these keys. */
const NAME_KEYS = new Set(["property", "key", "label", "imported", "exported"]);

function usesOf(program: Node): { name: string; start: number }[] {
  const declared = new Set<string>();
  const uses: { name: string; start: number }[] = [];
  const visit = (node: Node, isBinding: boolean): void => {
    if (node.type.startsWith("TS") && /Declaration$|^TSTypeReference$|^TSTypeQuery$/.test(node.type)) return;
    if (node.type === "Identifier") {
      const name = String(node["name"]);
      if (isBinding) declared.add(name);
      else if (PLATFORM_GLOBALS.has(name)) uses.push({ name, start: node.start });
      return;
    }
    const member = memberName(node);
    if (member !== undefined && PLATFORM_MEMBERS.has(member)) uses.push({ name: member, start: node.start });
    for (const [key, child] of Object.entries(node)) {
      if (TYPE_KEYS.has(key) || (NAME_KEYS.has(key) && node["computed"] !== true)) continue;
      for (const item of Array.isArray(child) ? child : [child]) {
        if (isNode(item)) visit(item, bindsUnder(node, key, isBinding));
      }
    }
  };
  visit(program, false);
  // A file that declares the name itself means its own: parameters called `self`, a local `document`.
  return uses.filter(({ name }) => !declared.has(name));
}

function bindsUnder(node: Node, key: string, isBinding: boolean): boolean {
  switch (node.type) {
    case "VariableDeclarator":
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ClassDeclaration":
      return key === "id" || key === "params";
    case "ArrowFunctionExpression":
      return key === "params";
    case "CatchClause":
      return key === "param";
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
      return key === "local";
    case "AssignmentPattern":
      return isBinding && key === "left";
    case "ObjectPattern":
    case "ArrayPattern":
    case "RestElement":
    case "Property":
      return isBinding;
    default:
      return false;
  }
}

function memberName(node: Node): string | undefined {
  if (node.type === "MetaProperty") return "import.meta";
  if (node.type !== "MemberExpression" || node["computed"] === true) return undefined;
  return `${nameOf(node["object"])}.${nameOf(node["property"])}`;
}

function nameOf(node: unknown): string {
  return isNode(node) && node.type === "Identifier" ? String(node["name"]) : "";
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}
