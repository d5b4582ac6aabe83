/** What a run found wrong. */
export class FaultFinding extends Error {}

/** Throws FaultFinding. */
export function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new FaultFinding(otherwise);
}
