// Pages of a window for user mode, filled from the linked image when they are touched and written back when they must make
// room. LEVELS is 3, 4 or 5 (Sv39, Sv48, Sv57). Accessed and dirty bits are set by the hart, or here where it faults.
typedef unsigned long word;

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
enum { ECALL_U = 8, STORE_PAGE_FAULT = 15, PAGE = 4096, ENTRIES = 512, FRAMES = 12 };
// Failures of this environment, as numbers of cases.
enum { OUTSIDE_WINDOW = 0xf0, UNEXPECTED_TRAP, SATP_NOT_TAKEN, NOT_ACCESSED, NOT_DIRTY, FAULT_WITHOUT_REASON };

extern char body_start[], body_end[], main[];
void resume(word *registers) __attribute__((noreturn));
void report(word failed, word row) __attribute__((noreturn));

static word tables[LEVELS + LEVELS][ENTRIES] __attribute__((aligned(PAGE)));
static word frames[FRAMES][PAGE / sizeof(word)] __attribute__((aligned(PAGE)));
static long pageIn[FRAMES];
static word registers[33];
static word *leaves;
static int victim;

// The highest page-aligned megapage of the lower half, so that every level of the tables has another index.
static word windowBase(void) {
  word base = 1UL << (12 + 9 * LEVELS - 1);
  return base - (1UL << 21);
}

static word entry(void *target, word flags) { return (word)target >> 12 << 10 | flags; }

static void flush(word address) { __asm__ volatile("sfence.vma %0" : : "r"(address) : "memory"); }

static void copyPage(word *to, const word *from) {
  for (int i = 0; i < PAGE / (int)sizeof(word); i++) ((volatile word *)to)[i] = from[i];
}

static word *imagePage(long page) { return (word *)(body_start + page * PAGE); }

static int isSame(const word *a, const word *b) {
  for (int i = 0; i < PAGE / (int)sizeof(word); i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

// A page that was changed must be dirty, and one that was filled was touched.
static void evict(int frame) {
  long page = pageIn[frame];
  if (page < 0) return;
  word leaf = leaves[page];
  if (!(leaf & A)) report(NOT_ACCESSED, page);
  if (!isSame(frames[frame], imagePage(page))) {
    if (!(leaf & D)) report(NOT_DIRTY, page);
    copyPage(imagePage(page), frames[frame]);
  }
  leaves[page] = 0;
  pageIn[frame] = -1;
  flush(windowBase() + page * PAGE);
}

static void fault(word cause, word address) {
  word base = windowBase();
  if (address < base || address >= base + (word)(body_end - body_start)) report(OUTSIDE_WINDOW, address);
  long page = (address - base) / PAGE;
  word leaf = leaves[page];
  if (leaf == 0) {
    int frame = victim;
    victim = (victim + 5) % FRAMES;
    evict(frame);
    copyPage(frames[frame], imagePage(page));
    pageIn[frame] = page;
    leaves[page] = entry(frames[frame], V | R | W | X | U);
    __asm__ volatile("fence.i" : : : "memory");
  } else if (!(leaf & A)) {
    leaves[page] |= A;
  } else if (cause == STORE_PAGE_FAULT && !(leaf & D)) {
    leaves[page] |= D;
  } else {
    report(FAULT_WITHOUT_REASON, address);
  }
  flush(base + page * PAGE);
}

word *pager_trap(word *saved, word cause, word address) {
  if (cause == ECALL_U) {
    for (int frame = 0; frame < FRAMES; frame++) evict(frame);
    report(saved[10], saved[11]);
  }
  if (cause != 12 && cause != 13 && cause != STORE_PAGE_FAULT) report(UNEXPECTED_TRAP, cause);
  fault(cause, address);
  return saved;
}

// The kernel's own memory: the gigapage of RAM under its own address, in the same root.
static void mapKernel(word *root, int *used) {
  word *table = root;
  for (int level = LEVELS - 1; level > 2; level--) {
    word *next = tables[(*used)++];
    table[0] = entry(next, V);
    table = next;
  }
  table[0x80000000UL >> 30] = entry((void *)0x80000000UL, V | R | W | X | A | D);
}

void pager_start(void) {
  int used = 0;
  word *root = tables[used++];
  mapKernel(root, &used);
  word *table = root;
  for (int level = LEVELS - 1; level > 0; level--) {
    word *slot = &table[windowBase() >> (12 + 9 * level) & (ENTRIES - 1)];
    if (*slot == 0) *slot = entry(tables[used++], V);
    table = (word *)(*slot >> 10 << 12);
  }
  leaves = table;
  for (int i = 0; i < FRAMES; i++) pageIn[i] = -1;
  word satp = (word)(LEVELS + 5) << 60 | (word)root >> 12, got;
  __asm__ volatile("csrw satp, %1\n csrr %0, satp\n sfence.vma" : "=r"(got) : "r"(satp) : "memory");
  if (got != satp) report(SATP_NOT_TAKEN, got >> 60);
  registers[32] = windowBase() + (main - body_start);
  resume(registers);
}
