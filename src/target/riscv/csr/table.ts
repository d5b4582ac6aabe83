// Every control and status register, each family from its file: number, access, legal values and effects are there.
import { assert } from "../../../base/index.ts";
import { aiaCsrs } from "./aia.ts";
import { counterCsrs } from "./counters.ts";
import type { Csr } from "./definition.ts";
import { entropyCsrs } from "./entropy.ts";
import { environmentCsrs } from "./environment.ts";
import { floatingPointCsrs } from "./floating-point.ts";
import { identityCsrs } from "./identity.ts";
import { interruptCsrs } from "./interrupts.ts";
import { protectionCsrs } from "./protection.ts";
import { stateEnableCsrs } from "./state-enable.ts";
import { statusCsrs } from "./status.ts";
import { supervisorTimerCsrs } from "./supervisor-timer.ts";
import { trapCsrs } from "./traps.ts";
import { triggerCsrs } from "./triggers.ts";

export const csrs: readonly Csr[] = [
  ...floatingPointCsrs,
  ...counterCsrs,
  ...statusCsrs,
  ...interruptCsrs,
  ...aiaCsrs,
  ...trapCsrs,
  ...environmentCsrs,
  ...stateEnableCsrs,
  ...entropyCsrs,
  ...supervisorTimerCsrs,
  ...protectionCsrs,
  ...identityCsrs,
  ...triggerCsrs,
];

/** By number; holes are registers that do not exist. */
export const csrByNumber: readonly (Csr | undefined)[] = (() => {
  const table = Array.from<Csr | undefined>({ length: 4096 });
  for (const csr of csrs) {
    assert(table[csr.number] === undefined, "a CSR number is declared once", csr.name);
    table[csr.number] = csr;
  }
  return table;
})();
