import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AddressSpace,
  aliasRegion,
  containerRegion,
  type MemoryRegion,
  type MemorySection,
  memoryTransaction,
  mmioRegion,
  ramRegion,
  type World,
  WorldPlan,
} from "./index.ts";
import { renderFlatView } from "./flat-view.ts";

const nothing = { read: () => 0, write(): void {} };

function device(name: string, lengthBytes: number): MemoryRegion {
  return mmioRegion(name, lengthBytes, nothing);
}

function show(sections: readonly MemorySection[]): string[] {
  return sections.map((s) => {
    const suffix = s.readOnly ? " ro" : "";
    return `${s.start}+${s.lengthBytes} ${s.region.name}@${s.offsetInRegion}${suffix}`;
  });
}

function emptyWorld(): World {
  const plan = new WorldPlan();
  plan.ram("unused", 4096);
  return plan.create({ shared: false });
}

describe("a flat view", () => {
  test("of an empty container has no sections", () => {
    expect(renderFlatView(containerRegion("root", 2 ** 53))).toEqual([]);
  });

  test("shows the region of higher priority where two overlap", () => {
    const root = containerRegion("root", 1000);
    root.add(device("low", 100), 0);
    root.add(device("high", 20), 40, 1);
    expect(show(renderFlatView(root))).toEqual(["0+40 low@0", "40+20 high@0", "60+40 low@60"]);
  });

  test("shows the one placed last among equals", () => {
    const root = containerRegion("root", 1000);
    root.add(device("first", 100), 0);
    root.add(device("second", 20), 90);
    expect(show(renderFlatView(root))).toEqual(["0+90 first@0", "90+20 second@0"]);
  });

  test("shows what lies under the gaps of a container", () => {
    const root = containerRegion("root", 1000);
    const bus = containerRegion("bus", 100);
    bus.add(device("card", 10), 50);
    root.add(device("under", 100), 0);
    root.add(bus, 0, 1);
    expect(show(renderFlatView(root))).toEqual(["0+50 under@0", "50+10 card@0", "60+40 under@60"]);
  });

  test("cuts children off at their container's end", () => {
    const root = containerRegion("root", 100);
    root.add(device("long", 100), 60);
    expect(show(renderFlatView(root))).toEqual(["60+40 long@0"]);
  });

  test("shows a part of a region through an alias, and joins what continues", () => {
    const target = device("target", 100);
    const root = containerRegion("root", 1000);
    root.add(aliasRegion("a", target, { offsetBytes: 30, lengthBytes: 20 }), 500);
    root.add(aliasRegion("b", target, { offsetBytes: 50 }), 520);
    expect(show(renderFlatView(root))).toEqual(["500+70 target@30"]);
  });

  test("has RAM read-only through a read-only alias, and names the block", () => {
    const plan = new WorldPlan();
    const block = plan.ram("ram", 8192);
    plan.create({ shared: false });
    const root = containerRegion("root", 2 ** 20);
    root.add(aliasRegion("shadow", ramRegion(block), { readOnly: true }), 0);
    const sections = renderFlatView(root);
    expect(show(sections)).toEqual(["0+8192 ram@0 ro"]);
    expect(sections[0]!.block).toBe(block);
  });

  test("keeps writable and read-only parts of one region apart", () => {
    const target = device("target", 100);
    const root = containerRegion("root", 1000);
    root.add(aliasRegion("rw", target, { lengthBytes: 50 }), 0);
    root.add(aliasRegion("ro", target, { offsetBytes: 50, readOnly: true }), 50);
    expect(show(renderFlatView(root))).toEqual(["0+50 target@0", "50+50 target@50 ro"]);
  });

  test("leaves disabled regions out, with all that is in them", () => {
    const root = containerRegion("root", 100);
    const bus = containerRegion("bus", 50);
    bus.add(device("card", 10), 0);
    root.add(bus, 0);
    bus.enabled = false;
    expect(renderFlatView(root)).toEqual([]);
  });
});

describe("placing regions", () => {
  test("a region is placed once, and never inside itself", () => {
    const root = containerRegion("root", 100);
    const bus = containerRegion("bus", 50);
    root.add(bus, 0);
    expect(() => root.add(bus, 10)).toThrow("a region is placed once");
    expect(() => bus.add(aliasRegion("loop", root), 0)).toThrow("a region does not contain itself");
    expect(() => bus.add(root, 0)).toThrow("a region does not contain itself");
  });

  test("a moved region takes its new place", () => {
    const root = containerRegion("root", 100);
    const card = device("card", 10);
    root.add(card, 0);
    root.move(card, 70);
    expect(show(renderFlatView(root))).toEqual(["70+10 card@0"]);
  });

  test("a moved region counts as placed last among equals", () => {
    const root = containerRegion("root", 100);
    const first = device("first", 10);
    root.add(first, 0);
    root.add(device("second", 10), 50);
    root.move(first, 50);
    expect(show(renderFlatView(root))).toEqual(["50+10 first@0"]);
  });
});

describe("transactions", () => {
  test("several changes are told as one, removals before additions", () => {
    const root = containerRegion("root", 1000);
    const a = device("a", 10);
    root.add(a, 0);
    root.add(device("stays", 10), 500);
    const space = new AddressSpace("space", root, emptyWorld());
    const told: string[] = [];
    space.addListener(recorder(told));
    told.length = 0;
    memoryTransaction(() => {
      root.move(a, 100);
      root.add(device("b", 10), 50);
      expect(show(space.sections)[0]).toBe("0+10 a@0");
    });
    expect(told).toEqual(["begin", "del 0+10 a@0", "add 50+10 b@0", "add 100+10 a@0", "commit"]);
  });

  test("a change that is undone in its transaction is not told", () => {
    const root = containerRegion("root", 1000);
    const a = device("a", 10);
    root.add(a, 0);
    const space = new AddressSpace("space", root, emptyWorld());
    let changes = 0;
    space.addChangeListener(() => (changes += 1));
    memoryTransaction(() => {
      root.remove(a);
      root.add(a, 0);
    });
    expect(changes).toBe(0);
  });

  test("a change in an aliased tree reaches the space that sees it through the alias", () => {
    const bus = containerRegion("bus", 100);
    const root = containerRegion("root", 1000);
    root.add(aliasRegion("window", bus), 500);
    const space = new AddressSpace("space", root, emptyWorld());
    bus.add(device("card", 10), 20);
    expect(show(space.sections)).toEqual(["520+10 card@0"]);
  });

  test("a failed change is brought up to date as far as it went", () => {
    const root = containerRegion("root", 1000);
    const space = new AddressSpace("space", root, emptyWorld());
    const change = (): void =>
      memoryTransaction(() => {
        root.add(device("a", 10), 0);
        throw new Error("half way");
      });
    expect(change).toThrow("half way");
    expect(show(space.sections)).toEqual(["0+10 a@0"]);
  });

  test("a listener may change regions: all listeners are told of the change after the present one", () => {
    const root = containerRegion("root", 1000);
    const space = new AddressSpace("space", root, emptyWorld());
    const told: string[] = [];
    const extra = device("extra", 10);
    space.addListener({
      commit(): void {
        if (space.sections.length === 1) root.add(extra, 900);
      },
    });
    space.addListener(recorder(told));
    told.length = 0;
    root.add(device("a", 10), 0);
    expect(told).toEqual(["begin", "add 0+10 a@0", "commit", "begin", "add 900+10 extra@0", "commit"]);
  });

  test("a removed listener is told that everything goes", () => {
    const root = containerRegion("root", 1000);
    root.add(device("a", 10), 0);
    const told: string[] = [];
    const end = new AddressSpace("space", root, emptyWorld()).addListener(recorder(told));
    end();
    end();
    root.enabled = false;
    expect(told).toEqual(["begin", "add 0+10 a@0", "commit", "begin", "del 0+10 a@0", "commit"]);
  });

  test("a closed space does not follow its tree", () => {
    const root = containerRegion("root", 1000);
    const space = new AddressSpace("space", root, emptyWorld());
    space.close();
    root.add(device("a", 10), 0);
    expect(space.sections).toEqual([]);
  });
});

function recorder(told: string[]) {
  return {
    begin: (): unknown => told.push("begin"),
    regionDel: (s: MemorySection): unknown => told.push(`del ${show([s])[0]}`),
    regionAdd: (s: MemorySection): unknown => told.push(`add ${show([s])[0]}`),
    commit: (): unknown => told.push("commit"),
  };
}

/** What a byte shows, found by walking the tree for it alone. */
function naiveResolve(region: MemoryRegion, address: number, readOnly: boolean): string | undefined {
  if (!region.enabled || address < 0 || address >= region.lengthBytes) return undefined;
  const { content } = region;
  switch (content.kind) {
    case "container": {
      for (const child of region.children) {
        const found = naiveResolve(child.region, address - child.at, readOnly);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    case "alias":
      return naiveResolve(content.target, address + content.offsetBytes, readOnly || content.readOnly);
    default:
      return `${region.name}@${address}${readOnly ? " ro" : ""}`;
  }
}

function naiveBytes(root: MemoryRegion): (string | undefined)[] {
  return Array.from({ length: root.lengthBytes }, (_, address) => naiveResolve(root, address, false));
}

function bytesOf(sections: Iterable<MemorySection>, lengthBytes: number): (string | undefined)[] {
  const bytes = Array.from({ length: lengthBytes }, (): string | undefined => undefined);
  for (const s of sections) {
    for (let i = 0; i < s.lengthBytes; i++) {
      expect(bytes[s.start + i]).toBeUndefined();
      bytes[s.start + i] = `${s.region.name}@${s.offsetInRegion + i}${s.readOnly ? " ro" : ""}`;
    }
  }
  return bytes;
}

const LENGTH = 64;

/** A recipe for one region; parents and targets are earlier regions, by index. */
interface Recipe {
  readonly kind: "container" | "mmio" | "alias";
  readonly parent: number;
  readonly target: number;
  readonly at: number;
  readonly lengthBytes: number;
  readonly offsetBytes: number;
  readonly priority: number;
  readonly readOnly: boolean;
}

const recipe: fc.Arbitrary<Recipe> = fc.record({
  kind: fc.constantFrom("container" as const, "mmio" as const, "alias" as const),
  parent: fc.nat(20),
  target: fc.nat(20),
  at: fc.nat(LENGTH),
  lengthBytes: fc.integer({ min: 1, max: LENGTH }),
  offsetBytes: fc.nat(20),
  priority: fc.integer({ min: -1, max: 2 }),
  readOnly: fc.boolean(),
});

/** A random tree; what cannot be placed (an alias that would loop) stays out. */
class Tree {
  readonly root = containerRegion("root", LENGTH);
  readonly containers: MemoryRegion[] = [this.root];
  readonly all: MemoryRegion[] = [];
  readonly #parents = new Map<MemoryRegion, MemoryRegion>();

  grow(r: Recipe): void {
    const name = `r${this.all.length}`;
    const parent = this.containers[r.parent % this.containers.length]!;
    const region = this.#make(name, r);
    try {
      parent.add(region, r.at, r.priority);
    } catch {
      return;
    }
    this.#parents.set(region, parent);
    this.all.push(region);
    if (r.kind === "container") this.containers.push(region);
  }

  #make(name: string, r: Recipe): MemoryRegion {
    if (r.kind === "container") return containerRegion(name, r.lengthBytes);
    const target = this.all[r.target % Math.max(this.all.length, 1)];
    if (r.kind === "mmio" || target === undefined) return device(name, r.lengthBytes);
    return aliasRegion(name, target, {
      offsetBytes: r.offsetBytes,
      lengthBytes: r.lengthBytes,
      readOnly: r.readOnly,
    });
  }

  toggle(which: number): void {
    const region = this.all[which % Math.max(this.all.length, 1)];
    if (region !== undefined) region.enabled = !region.enabled;
  }

  move(which: number, at: number): void {
    const region = this.all[which % Math.max(this.all.length, 1)];
    if (region !== undefined) this.#parents.get(region)!.move(region, at);
  }
}

test("a flat view equals the byte-by-byte resolution of any tree", () => {
  fc.assert(
    fc.property(fc.array(recipe, { maxLength: 14 }), fc.array(fc.nat(20), { maxLength: 2 }), (recipes, disabled) => {
      const tree = new Tree();
      for (const r of recipes) tree.grow(r);
      for (const which of disabled) tree.toggle(which);
      const sections = renderFlatView(tree.root);
      expect(bytesOf(sections, LENGTH)).toEqual(naiveBytes(tree.root));
      expect(sections.map((s) => s.start)).toEqual(sections.map((s) => s.start).sort((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});

type Change = (tree: Tree) => void;
const change: fc.Arbitrary<Change> = fc.oneof(
  recipe.map(
    (r): Change =>
      (tree) =>
        tree.grow(r),
  ),
  fc.nat(20).map(
    (which): Change =>
      (tree) =>
        tree.toggle(which),
  ),
  fc.tuple(fc.nat(20), fc.nat(LENGTH)).map(
    ([which, at]): Change =>
      (tree) =>
        tree.move(which, at),
  ),
);

test("the differences that a listener is told, replayed, equal the view after each transaction", () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 10 }), (transactions) => {
      const tree = new Tree();
      const space = new AddressSpace("space", tree.root, emptyWorld());
      const held = new Map<string, MemorySection>();
      space.addListener({
        regionDel: (s) => expect(held.delete(show([s])[0]!)).toBe(true),
        regionAdd: (s) => held.set(show([s])[0]!, s),
      });
      for (const changes of transactions) {
        memoryTransaction(() => {
          for (const apply of changes) apply(tree);
        });
        expect(bytesOf(held.values(), LENGTH)).toEqual(naiveBytes(tree.root));
      }
    }),
    { numRuns: 150 },
  );
});
