// How an assigned device is attached and tracked, in one line for people.
import type { AssignmentFacts } from "../machine/index.ts";

export function assignmentLine({ device, iommufd, pageTable, isMediated, tracker, because }: AssignmentFacts): string {
  const place = isMediated
    ? "through the IOAS"
    : pageTable === undefined
      ? "on a page table of its host's choice"
      : `on page table ${pageTable.id}`;
  const tracked = tracker === "none" ? `not tracked: ${because}` : `its writes are tracked by ${because}`;
  return `${device}: assigned through ${iommufd}, ${place}; ${tracked}`;
}
