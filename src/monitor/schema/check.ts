// Values from outside against the schema, with the messages of QEMU's input visitor (qapi/qobject-input-visitor.c).
import { InvariantError } from "../../base/index.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import { QmpError } from "../errors.ts";
import type { SchemaType, StructType } from "./types.ts";

/** Throws QmpError. */
export function checkMembers(type: StructType<unknown>, value: JsonObject, path = ""): void {
  checkDeclared(type, value, path);
  const variant = variantOf(type, value);
  if (variant !== undefined) checkDeclared(variant, value, path);
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(type.members, name) && !Object.hasOwn(variant?.members ?? {}, name)) {
      throw new QmpError(`Parameter '${path === "" ? name : `${path}.${name}`}' is unexpected`);
    }
  }
}

function variantOf({ tag, variants }: StructType<unknown>, value: JsonObject): StructType<unknown> | undefined {
  const which = tag === undefined ? undefined : value[tag];
  return typeof which === "string" && Object.hasOwn(variants!, which) ? variants![which] : undefined;
}

/** As `checkMembers`, whatever else there is. */
export function checkDeclared(type: StructType<unknown>, value: JsonObject, path = ""): void {
  for (const [name, member] of Object.entries(type.members)) {
    const given = value[name];
    const at = path === "" ? name : `${path}.${name}`;
    if (given !== undefined) checkValue(member.type, given, at);
    else if (!member.isOptional) throw new QmpError(`Parameter '${at}' is missing`);
  }
}

function checkValue(type: SchemaType, value: JsonValue, at: string): void {
  const expect = (what: string): QmpError => new QmpError(`Invalid parameter type for '${at}', expected: ${what}`);
  switch (type.kind) {
    case "builtin":
      if (!type.accepts(value)) throw expect(type.expected);
      if (type.narrow?.fits(value) === false) throw new QmpError(`Parameter '${at}' expects ${type.narrow.name}`);
      return;
    case "enum":
      if (typeof value !== "string") throw expect("string");
      if (!type.values.includes(value)) throw new QmpError(`Parameter '${at}' does not accept value '${value}'`);
      return;
    case "array":
      if (!Array.isArray(value)) throw expect("array");
      value.forEach((item: JsonValue, i) => checkValue(type.element, item, `${at}[${i}]`));
      return;
    case "alternate":
      throw new InvariantError("alternates are of replies", [at]);
    case "struct":
      if (!isJsonObject(value)) throw expect("object");
      return checkMembers(type, value, at);
  }
}
