// The templates of a target's instructions, each made when it is first wanted.
import { Handler } from "../code-cache.ts";
import type { HandlerVariant } from "../interpreter/interpreter.ts";
import { makeGroupedTemplate, makeTemplate, type Template, type TemplateContext } from "./template.ts";

export class Templates {
  readonly context: TemplateContext;
  private readonly variants: readonly HandlerVariant[];
  private readonly made: (Template | undefined)[] = [];
  private readonly groupedOnes: Map<Template, Template> = new Map();

  constructor(variants: readonly HandlerVariant[], context: TemplateContext) {
    this.variants = variants;
    this.context = context;
  }

  /** That of the instruction for which the handler stands. */
  of(handler: number): Template {
    return (this.made[handler] ??= makeTemplate(this.variants[handler - Handler.first]!, this.context));
  }

  /** The form of a load or store for a member of a group. */
  grouped(template: Template): Template {
    let grouped = this.groupedOnes.get(template);
    if (grouped === undefined) {
      const handler = this.made.indexOf(template);
      grouped = makeGroupedTemplate(this.variants[handler - Handler.first]!, this.context);
      this.groupedOnes.set(template, grouped);
    }
    return grouped;
  }

  /** Makes all of them: how many there are. */
  makeAll(): number {
    this.variants.forEach((_, i) => this.of(Handler.first + i));
    return this.variants.length;
  }
}
