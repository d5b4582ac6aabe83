/*
 * A user-space driver's use of /dev/iommu, by IOMMUFD's "simple API": one I/O address space, memory mapped where the kernel
 * chooses and where the driver says, copied to a second one, unmapped.
 *
 *   cc -o iommufd-simple examples/iommufd-simple.c
 *   ratite host exec -- ./iommufd-simple
 *
 * Nothing in it knows of Ratite: on a machine with an IOMMU it does the same with the kernel's /dev/iommu.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#else
/* Headers before Linux 6.2 lack it. Of include/uapi/linux/iommufd.h, what is used here. */
#include <linux/types.h>
#define IOMMUFD_CALL(n) _IO(';', 0x80 + (n))
#define IOMMU_DESTROY IOMMUFD_CALL(0)
#define IOMMU_IOAS_ALLOC IOMMUFD_CALL(1)
#define IOMMU_IOAS_COPY IOMMUFD_CALL(3)
#define IOMMU_IOAS_IOVA_RANGES IOMMUFD_CALL(4)
#define IOMMU_IOAS_MAP IOMMUFD_CALL(5)
#define IOMMU_IOAS_UNMAP IOMMUFD_CALL(6)
#define IOMMU_IOAS_MAP_FIXED_IOVA 1
#define IOMMU_IOAS_MAP_WRITEABLE 2
#define IOMMU_IOAS_MAP_READABLE 4
struct iommu_destroy { __u32 size, id; };
struct iommu_ioas_alloc { __u32 size, flags, out_ioas_id; };
struct iommu_iova_range { __u64 start, last; };
struct iommu_ioas_iova_ranges { __u32 size, ioas_id, num_iovas, __reserved; __u64 allowed_iovas, out_iova_alignment; };
struct iommu_ioas_map { __u32 size, flags, ioas_id, __reserved; __u64 user_va, length, iova; };
struct iommu_ioas_copy { __u32 size, flags, dst_ioas_id, src_ioas_id; __u64 length, dst_iova, src_iova; };
struct iommu_ioas_unmap { __u32 size, ioas_id; __u64 iova, length; };
#endif

#define READ_WRITE (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define BUFFER_BYTES (64 << 10)

static int iommufd;

/* Ends the program with what went wrong: an example needs no more. */
static void call(const char *what, unsigned long command, void *request)
{
	if (ioctl(iommufd, command, request) == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t new_space(void)
{
	struct iommu_ioas_alloc request = { .size = sizeof(request) };

	call("IOMMU_IOAS_ALLOC", IOMMU_IOAS_ALLOC, &request);
	return request.out_ioas_id;
}

static void show_ranges(uint32_t space)
{
	struct iommu_iova_range found[8];
	struct iommu_ioas_iova_ranges request = {
		.size = sizeof(request), .ioas_id = space, .num_iovas = 8, .allowed_iovas = (uintptr_t)found,
	};
	uint32_t i;

	call("IOMMU_IOAS_IOVA_RANGES", IOMMU_IOAS_IOVA_RANGES, &request);
	for (i = 0; i < request.num_iovas; i++)
		printf("usable: 0x%llx to 0x%llx\n", (unsigned long long)found[i].start, (unsigned long long)found[i].last);
	printf("aligned to %llu bytes\n", (unsigned long long)request.out_iova_alignment);
}

/* At `iova`, or anywhere for 0; where it is then. */
static uint64_t map(uint32_t space, void *memory, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request), .ioas_id = space, .user_va = (uintptr_t)memory, .length = length, .iova = iova,
		.flags = READ_WRITE | (iova ? IOMMU_IOAS_MAP_FIXED_IOVA : 0),
	};

	call("IOMMU_IOAS_MAP", IOMMU_IOAS_MAP, &request);
	return request.iova;
}

/* Maps what one space has into another, without pinning it twice. */
static uint64_t copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_copy request = {
		.size = sizeof(request), .flags = READ_WRITE, .dst_ioas_id = to, .src_ioas_id = from, .length = length,
		.src_iova = iova,
	};

	call("IOMMU_IOAS_COPY", IOMMU_IOAS_COPY, &request);
	return request.dst_iova;
}

static uint64_t unmap(uint32_t space, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap request = { .size = sizeof(request), .ioas_id = space, .iova = iova, .length = length };

	call("IOMMU_IOAS_UNMAP", IOMMU_IOAS_UNMAP, &request);
	return request.length;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy request = { .size = sizeof(request), .id = id };

	call("IOMMU_DESTROY", IOMMU_DESTROY, &request);
}

int main(void)
{
	uint32_t space, second;
	uint64_t chosen, fixed, copied;
	void *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0 || buffer == MAP_FAILED) {
		perror(buffer == MAP_FAILED ? "mmap" : "/dev/iommu");
		return 1;
	}
	space = new_space();
	second = new_space();
	show_ranges(space);

	chosen = map(space, buffer, BUFFER_BYTES, 0);
	printf("%d bytes at 0x%llx, chosen for us\n", BUFFER_BYTES, (unsigned long long)chosen);
	fixed = map(space, buffer, 4096, 0x40000000);
	printf("4096 bytes at 0x%llx, as we asked\n", (unsigned long long)fixed);
	copied = copy(second, space, chosen + 4096, 8192);
	printf("8192 of them at 0x%llx of a second space\n", (unsigned long long)copied);

	printf("unmapped: %llu and %llu bytes\n", (unsigned long long)unmap(space, chosen, BUFFER_BYTES),
	       (unsigned long long)unmap(second, 0, UINT64_MAX));
	/* What is still mapped goes with its space, and everything with the descriptor. */
	destroy(space);
	destroy(second);
	return close(iommufd);
}
