// What a guest asks of the machine as a whole: by the test finisher or by an SBI call.

export type GuestRequest =
  | { readonly kind: "powerOff" }
  | { readonly kind: "reset" }
  /** Power off because something failed; `status` is what the process exits with. */
  | { readonly kind: "fail"; readonly status: number };
