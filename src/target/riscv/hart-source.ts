/** The name under which a hart's stores are reported. */
export function hartSource(hartId: number): string {
  return `hart${hartId}`;
}
