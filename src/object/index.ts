export * from "./command-line.ts";
export { OptionError, type OptionErrorCode } from "./errors.ts";
export * from "./nested-keys.ts";
export * from "./numbers.ts";
export * from "./option-reader.ts";
export * from "./options.ts";
export * from "./properties.ts";
export { Refusal } from "./refusal.ts";
