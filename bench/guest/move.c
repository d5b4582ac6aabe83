// A guest to be moved, in machine mode: fills memory with what does not compress, says "R", and then for ever waits (LOAD 0),
// writes to pages at a fixed rate (LOAD 1), reads a virtio disk (LOAD 2) or an NVMe disk (LOAD 3) into them at a fixed rate, or
// writes to pages as fast as it can and says so, for every so many, with a dot (LOAD 4).
#include <stdint.h>

#define FILL_BASE 0x84000000ul
#define TICKS_PER_SECOND 10000000ul
#define PAGE_BYTES 4096ul
// LOAD 1: pages a second, and over how many.
#define PAGES_PER_SECOND 4000ul
#define PAGES 8192ul
// LOAD 2: reads a second, each of so many bytes, over this much memory.
#define READS_PER_SECOND 128ul
#define READ_BYTES 65536ul
#define READ_SPAN (32ul << 20)
// LOAD 4: passes over the pages for a dot.
#define PASSES_PER_DOT 16

__asm__(".section .text.start,\"ax\"\n.globl _start\n_start: li sp, 0x80800000\n j work\n.text\n");

static uint64_t now(void) {
  uint64_t ticks;
  __asm__ volatile("rdtime %0" : "=r"(ticks));
  return ticks;
}

static void wait_until(uint64_t ticks) {
  while (now() < ticks) {
  }
}

static void fill(uint64_t bytes) {
  uint64_t x = 88172645463325252ul;
  for (uint64_t at = 0; at < bytes; at += 8) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *(volatile uint64_t *)(FILL_BASE + at) = x;
  }
}

// virtio 1.2 §4.2.2 (registers) and §2.7 (split queues).
struct descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
};
static struct descriptor table[8] __attribute__((aligned(4096)));
static volatile struct {
  uint16_t flags, index, ring[8];
} available __attribute__((aligned(4096)));
static volatile struct {
  uint16_t flags, index;
  struct {
    uint32_t id, length;
  } ring[8];
} used __attribute__((aligned(4096)));
static struct {
  uint32_t type, reserved;
  uint64_t sector;
} request;
static volatile uint8_t status;

static volatile uint32_t *find_disk(void) {
  for (uint64_t at = 0x10001000; at <= 0x10008000; at += 0x1000) {
    volatile uint32_t *registers = (volatile uint32_t *)at;
    if (registers[0x008 / 4] == 2) return registers;
  }
  return 0;
}

static void open_disk(volatile uint32_t *r) {
  r[0x070 / 4] = 0;
  r[0x070 / 4] = 1 | 2;
  r[0x024 / 4] = 0;
  r[0x020 / 4] = 0;
  r[0x024 / 4] = 1;
  r[0x020 / 4] = 1; // VIRTIO_F_VERSION_1
  r[0x070 / 4] = 1 | 2 | 8;
  r[0x030 / 4] = 0;
  r[0x038 / 4] = 8;
  r[0x080 / 4] = (uint32_t)(uint64_t)table;
  r[0x084 / 4] = 0;
  r[0x090 / 4] = (uint32_t)(uint64_t)&available;
  r[0x094 / 4] = 0;
  r[0x0a0 / 4] = (uint32_t)(uint64_t)&used;
  r[0x0a4 / 4] = 0;
  r[0x044 / 4] = 1;
  r[0x070 / 4] = 1 | 2 | 8 | 4;
}

static void read_disk(volatile uint32_t *r, uint64_t sector, uint64_t into) {
  static uint16_t count;
  request.sector = sector;
  table[0] = (struct descriptor){(uint64_t)&request, 16, 1, 1};
  table[1] = (struct descriptor){into, READ_BYTES, 1 | 2, 2};
  table[2] = (struct descriptor){(uint64_t)&status, 1, 2, 0};
  available.ring[count % 8] = 0;
  __asm__ volatile("fence" ::: "memory");
  available.index = ++count;
  __asm__ volatile("fence" ::: "memory");
  r[0x050 / 4] = 0;
  while (used.index != count) {
  }
  r[0x064 / 4] = 1;
}

// NVMe 1.4, polled, with one queue pair besides the admin one; in slot 1 of the PCI bus, where firmware would have placed it.
#define R32(at) (*(volatile uint32_t *)(at))
#define R64(at) (*(volatile uint64_t *)(at))
#define ECAM (0x30000000ul + 0x8000ul)
#define NVME 0x40000000ul
#define ENTRIES 16u
static uint8_t rings[2][2][4096] __attribute__((aligned(4096)));
static uint64_t prps[READ_BYTES / PAGE_BYTES] __attribute__((aligned(4096)));
static struct {
  uint32_t tail, head, phase;
} queues[2];

static void nvme_command(int queue, uint32_t opcode, uint64_t prp1, uint64_t prp2, const uint32_t *words) {
  volatile uint32_t *entry = (volatile uint32_t *)(rings[queue][0] + queues[queue].tail * 64);
  for (int i = 0; i < 16; i++) entry[i] = 0;
  entry[0] = opcode;
  entry[1] = 1;
  *(volatile uint64_t *)(entry + 6) = prp1;
  *(volatile uint64_t *)(entry + 8) = prp2;
  for (int i = 0; i < 3; i++) entry[10 + i] = words[i];
  queues[queue].tail = (queues[queue].tail + 1) % ENTRIES;
  __asm__ volatile("fence" ::: "memory");
  R32(NVME + 0x1000 + queue * 8) = queues[queue].tail;
  volatile uint32_t *done = (volatile uint32_t *)(rings[queue][1] + queues[queue].head * 16);
  while ((done[3] >> 16 & 1) == queues[queue].phase) {
  }
  if (++queues[queue].head == ENTRIES) {
    queues[queue].head = 0;
    queues[queue].phase ^= 1;
  }
  R32(NVME + 0x1004 + queue * 8) = queues[queue].head;
}

static void open_nvme(void) {
  R32(ECAM + 0x10) = (uint32_t)NVME;
  R32(ECAM + 0x14) = 0;
  R32(ECAM + 4) = 6;
  R32(NVME + 0x14) = 0;
  R32(NVME + 0x24) = (ENTRIES - 1) << 16 | (ENTRIES - 1);
  R64(NVME + 0x28) = (uint64_t)rings[0][0];
  R64(NVME + 0x30) = (uint64_t)rings[0][1];
  R32(NVME + 0x14) = 0x00460001;
  while ((R32(NVME + 0x1c) & 1) == 0) {
  }
  const uint32_t completion[3] = {(ENTRIES - 1) << 16 | 1, 1, 0}, submission[3] = {(ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0};
  nvme_command(0, 5, (uint64_t)rings[1][1], 0, completion);
  nvme_command(0, 1, (uint64_t)rings[1][0], 0, submission);
}

static void read_nvme(uint64_t sector, uint64_t into) {
  for (uint64_t i = 1; i < READ_BYTES / PAGE_BYTES; i++) prps[i - 1] = into + i * PAGE_BYTES;
  const uint32_t place[3] = {(uint32_t)sector, 0, READ_BYTES / 512 - 1};
  nvme_command(1, 2, into, (uint64_t)prps, place);
}

void work(void) {
  fill((uint64_t)FILL_MIB << 20);
  volatile uint32_t *disk = 0;
  if (LOAD == 2) {
    disk = find_disk();
    open_disk(disk);
  }
  if (LOAD == 3) open_nvme();
  *(volatile uint8_t *)0x10000000 = 'R';
  uint64_t next = now();
  for (uint64_t i = 0;; i++) {
    if (LOAD == 0) __asm__ volatile("wfi");
    if (LOAD == 1) {
      *(volatile uint64_t *)(FILL_BASE + (i % PAGES) * PAGE_BYTES) = i;
      wait_until(next += TICKS_PER_SECOND / PAGES_PER_SECOND);
    }
    if (LOAD == 4) {
      for (uint64_t n = 0; n < PASSES_PER_DOT * PAGES; n++) {
        *(volatile uint64_t *)(FILL_BASE + (n % PAGES) * PAGE_BYTES) = n;
      }
      *(volatile uint8_t *)0x10000000 = '.';
    }
    if (LOAD == 2 || LOAD == 3) {
      uint64_t at = (i * READ_BYTES) % READ_SPAN;
      if (LOAD == 2) read_disk(disk, at / 512, FILL_BASE + at);
      else read_nvme(at / 512, FILL_BASE + at);
      wait_until(next += TICKS_PER_SECOND / READS_PER_SECOND);
    }
  }
}
