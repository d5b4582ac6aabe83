// Why a text or a datum is not a value of a type; the name and the value are put around it where they are known.

/** `phrase` continues "Parameter 'x' …": `expects 'on' or 'off'`. */
export class Refusal {
  readonly phrase: string;

  constructor(phrase: string) {
    this.phrase = phrase;
  }
}
