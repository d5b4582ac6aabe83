import { expect, test } from "vitest";
import { VmError } from "./errors.ts";

class DiskError extends VmError<"readOnly" | "badHeader"> {
  override readonly room = "disk";
}

test("carries code, subject, room and cause", () => {
  const cause = new Error("EROFS");
  const error = new DiskError("readOnly", "Image is read-only", { subject: "a.img", cause });
  expect(error).toMatchObject({
    code: "readOnly",
    subject: "a.img",
    room: "disk",
    cause,
    message: "Image is read-only",
  });
});

test("its name has the class and the code", () => {
  expect(`${new DiskError("badHeader", "Header version 9 is unknown")}`).toBe(
    "DiskError[badHeader]: Header version 9 is unknown",
  );
});

test("has no cause unless one was given", () => {
  expect("cause" in new DiskError("readOnly", "x")).toBe(false);
});
