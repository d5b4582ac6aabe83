// Changes of region trees come in transactions: address spaces are brought up to date once, at the outermost end.

/** Something that is derived from a region tree. */
export interface DerivedView {
  update(): void;
}

// A transaction is synchronous from begin to end, so one depth serves all machines of the process.
let depth = 0;
let updating = false;
const stale = new Set<DerivedView>();

/**
 * Runs `change` and brings the address spaces that it touched up to date afterwards. Until then accesses see the old
 * view. Transactions nest; a single change outside of any is a transaction of its own.
 */
export function memoryTransaction<T>(change: () => T): T {
  depth += 1;
  try {
    return change();
  } finally {
    depth -= 1;
    updateStale();
  }
}

export function markStale(view: DerivedView): void {
  stale.add(view);
  updateStale();
}

function updateStale(): void {
  // A listener that changes regions while it is told of a change gets its own round afterwards.
  if (depth > 0 || updating) return;
  updating = true;
  try {
    for (const view of stale) {
      stale.delete(view);
      view.update();
    }
  } finally {
    updating = false;
  }
}
