// Direct I/O on a block device, one request at a time, for bench/nvme.ts:
//     nvme-io DEVICE randread|randwrite|seqread|seqwrite COUNT
// Random requests have 4 KiB, sequential ones 128 KiB, all within the first 64 MiB. A line at the begin, one at the end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SPAN_BYTES (64ULL << 20)
#define MAX_BYTES (128 << 10)

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 4) return fail("nvme-io DEVICE MODE COUNT");
  const int random = strncmp(argv[2], "rand", 4) == 0;
  const int writes = strstr(argv[2], "write") != NULL;
  const long count = strtol(argv[3], NULL, 10);
  const size_t bytes = random ? 4096 : MAX_BYTES;
  void *buffer;
  if (posix_memalign(&buffer, 4096, MAX_BYTES) != 0) return fail("memory");
  memset(buffer, 0x5a, MAX_BYTES);
  const int fd = open(argv[1], O_RDWR | O_DIRECT);
  if (fd < 0) return fail(argv[1]);
  uint64_t state = 0x9e3779b97f4a7c15;
  uint64_t at = 0;
  printf("begin\n");
  fflush(stdout);
  const uint64_t begun = now_ns();
  for (long i = 0; i < count; i++) {
    if (random) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      at = state % (SPAN_BYTES / 4096) * 4096;
    }
    const ssize_t done = writes ? pwrite(fd, buffer, bytes, (off_t)at) : pread(fd, buffer, bytes, (off_t)at);
    if (done != (ssize_t)bytes) return fail(argv[2]);
    if (!random) at = (at + bytes) % SPAN_BYTES;
  }
  printf("done %llu ns\n", (unsigned long long)(now_ns() - begun));
  return 0;
}
