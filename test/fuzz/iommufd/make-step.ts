// Steps from what they are to do.
import { iommuTestIoctl, iommufdIoctls, type AnyLayout, type IommufdIoctl } from "../../../src/iommufd/index.ts";
import type { Request } from "./requests.ts";
import { PAYLOAD_AT, REQUEST_AT, REQUEST_BYTES, ROWS, STEP_BYTES, StepKind, VFIO_NUMBERS } from "./steps.ts";

/** Where the requests of steps that are no calls have an id, and an IOVA. */
export const ID_AT = 8;
export const IOVA_AT = 16;

/** A step without a structure; `args` are its bytes by place. */
export function bare(
  kind: number,
  args: Readonly<Record<number, number>>,
  values: { readonly id?: number; readonly iova?: bigint } = {},
): Uint8Array {
  const step = new Uint8Array(STEP_BYTES);
  const view = new DataView(step.buffer);
  step[0] = kind;
  for (const [at, value] of Object.entries(args)) step[Number(at)] = value;
  view.setUint32(REQUEST_AT + ID_AT, values.id ?? 0, true);
  view.setBigUint64(REQUEST_AT + IOVA_AT, values.iova ?? 0n, true);
  return step;
}

function call(row: number, layout: AnyLayout, values: object, payload: Uint8Array | undefined): Uint8Array {
  const step = new Uint8Array(STEP_BYTES);
  step[0] = StepKind.IOCTL;
  step[1] = row;
  layout.encode({ size: layout.lengthBytes, ...values }, step, REQUEST_AT);
  if (payload !== undefined) step.set(payload, PAYLOAD_AT);
  return step;
}

export function ioctl(name: IommufdIoctl, request: Request): Uint8Array {
  const row = iommufdIoctls[name];
  return call(ROWS.indexOf(row), row.layout, request.fields, request.payload);
}

/** An operation of the kernel's test interface. */
export function testOp(
  op: number,
  request: { readonly id: number; readonly layout?: AnyLayout; readonly values?: object },
): Uint8Array {
  const { layout } = iommuTestIoctl;
  const u = new Uint8Array(48);
  request.layout?.encode(request.values ?? {}, u);
  return call(ROWS.indexOf(iommuTestIoctl), layout, { op, id: request.id, u }, undefined);
}

/** A VFIO call; with `argument` its argument is that number, else the structure's address. */
export function vfio(nr: number, structure: Uint8Array, argument?: number): Uint8Array {
  const step = new Uint8Array(STEP_BYTES);
  step[0] = StepKind.VFIO;
  step[1] = VFIO_NUMBERS.indexOf(nr);
  step[4] = argument === undefined ? 0 : 1;
  step[5] = argument ?? 0;
  step.set(structure.subarray(0, REQUEST_BYTES), REQUEST_AT);
  return step;
}
