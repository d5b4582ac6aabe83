import { VmError } from "../../base/index.ts";
import { placeText, type JsonPlace } from "../../format/index.ts";

/** What is wrong at one place of a description; a sentence without a final period: what was found, what would do. */
export interface DescriptionProblem {
  readonly place: JsonPlace;
  readonly message: string;
}

/** A host description cannot be used. `badSyntax`: it is no JSON. `badContent`: it is, but says something that cannot be. */
export class DescriptionError extends VmError<"badSyntax" | "badContent"> {
  override readonly room = "iommufd";
  /** All of them in the order of the text; none when the text is no JSON. */
  readonly problems: readonly DescriptionProblem[];

  constructor(code: "badSyntax" | "badContent", problems: readonly DescriptionProblem[], message?: string) {
    super(code, message ?? problems.map((p) => `${placeText(p.place)}: ${p.message}`).join("\n"));
    this.problems = problems;
  }
}
