// table: Zawrs, waiting on a reservation set (unprivileged spec §14.3).
import { field, i32, i64 } from "../../../accel/index.ts";
import { exactly, type Instruction } from "../encoding.ts";
import { noReservation } from "../state.ts";

/** The other harts get their turn, and their stores end the reservation; without one there is nothing to wait for. */
const wait = (name: string, word: number): Instruction => ({
  name,
  extensions: ["zawrs"],
  ...exactly(word),
  operands: {},
  assembly: "",
  semantics: (c) => {
    c.if(i64.ne(field("i64", "reservationVa"), i64.big(noReservation)), () => c.helper("pause", i32.const(0)));
  },
});

export const zawrs: readonly Instruction[] = [wait("wrs.nto", 0x00d00073), wait("wrs.sto", 0x01d00073)];
