export { FormatError, type FormatErrorCode } from "./errors.ts";
export * from "./elf.ts";
export * from "./fdt-node.ts";
export * from "./fdt.ts";
export * from "./image.ts";
export type * from "./port.ts";
