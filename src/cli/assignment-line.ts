// How an assigned device is attached and tracked, in one line for people.
import type { AssignmentFacts } from "../machine/index.ts";

/** `disk` is the image behind the device, where that is known. */
export function assignmentLine(facts: AssignmentFacts, disk?: string): string {
  const { device, iommufd, pageTable, isMediated, tracker, because } = facts;
  const place = isMediated
    ? "through the IOAS"
    : pageTable === undefined
      ? "on a page table of its host's choice"
      : `on page table ${pageTable.id}`;
  const tracked = tracker === "none" ? `not tracked: ${because}` : `its writes are tracked by ${because}`;
  const what = disk === undefined ? device : `${disk} as ${device}`;
  return `${what}: assigned through ${iommufd}, ${place}; ${tracked}`;
}
