export * from "./attachment.ts";
export * from "./migration.ts";
export type * from "./refusal.ts";
export { refusalOf } from "./remedy.ts";
