export { fieldTables } from "./field-table.ts";
export { DescriptionError, type DescriptionProblem } from "./errors.ts";
export {
  hostJsonSchema,
  deviceSchema,
  groupSchema,
  hostSchema,
  reservedSchema,
  unitSchema,
  type MigrationAbility,
} from "./host-description.ts";
export {
  readHostDescription,
  type DescribableKind,
  type HostDevice,
  type HostGroup,
  type HostPlan,
  type HostUnit,
} from "./read-host.ts";
