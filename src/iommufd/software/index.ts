export { SoftwareHost, type HostAudit, type SoftwareHostOptions } from "./host.ts";
export type { FailPoint } from "./host-memory.ts";
