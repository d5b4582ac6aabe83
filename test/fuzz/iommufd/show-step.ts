// A step in words, for whoever looks at a failure.
import { PAYLOAD_AT, REQUEST_AT, ROWS, StepKind, KINDS, VFIO_NUMBERS } from "./steps.ts";

const KIND_NAMES = Object.fromEntries(Object.entries(StepKind).map(([name, kind]) => [kind, name]));

export function showStep(step: Uint8Array): string {
  const kind = step[0]! % KINDS;
  if (kind === StepKind.IOCTL) {
    const row = ROWS[step[1]! % ROWS.length]!;
    return `${row.name} ${fieldsOf(row.layout.decode(step.subarray(REQUEST_AT, PAYLOAD_AT)))}`;
  }
  const view = new DataView(step.buffer, step.byteOffset);
  const nr = kind === StepKind.VFIO ? ` ${VFIO_NUMBERS[step[1]! % VFIO_NUMBERS.length]}` : "";
  const id = view.getUint32(REQUEST_AT + 8, true).toString(16);
  const iova = view.getBigUint64(REQUEST_AT + 16, true).toString(16);
  return `${KIND_NAMES[kind]}${nr} [${[...step.subarray(1, REQUEST_AT)].join(" ")}] id 0x${id} iova 0x${iova}`;
}

function fieldsOf(request: object): string {
  const shown: string[] = [];
  for (const [name, value] of Object.entries(request)) {
    if (value instanceof Uint8Array)
      shown.push(
        `${name} ${Buffer.from(value)
          .toString("hex")
          .replace(/(00)+$/, "")}`,
      );
    else if (BigInt(value as number | bigint) !== 0n) shown.push(`${name} 0x${(value as number).toString(16)}`);
  }
  return shown.join(", ");
}
