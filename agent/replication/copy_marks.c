/* SPDX-License-Identifier: BSD-2-Clause */
#include "replication/copy_marks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "host/paths.h"

/* Marks of a segment. */
#define SEGMENT_SLOTS (1U << 19)
#define PAGE	      4096U
#define MAGIC	      "detnat copies 1"
#define BOOT_ID	      36U

struct header {
	char magic[16];
	char boot_id[40];
	struct marked_tables of;
	uint32_t layout;
	uint8_t present[]; /* one bit for each segment */
};

static size_t pages(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

static struct header *header_of(const struct copy_marks *k)
{
	return (struct header *)k->base;
}

bool copy_marks_has(const struct copy_marks *k, uint32_t segment)
{
	return k->base && header_of(k)->present[segment / 8] >> (segment % 8) & 1;
}

static void shape(struct copy_marks *k, const struct marked_tables *of)
{
	k->n_slots = of->n_slots;
	k->per_segment = SEGMENT_SLOTS / of->n_slots ? SEGMENT_SLOTS / of->n_slots : 1;
	if (k->per_segment > of->n_subscribers)
		k->per_segment = of->n_subscribers;
	k->n_segments = (of->n_subscribers + k->per_segment - 1) / k->per_segment;
	k->header = pages(sizeof(struct header) + (k->n_segments + 7) / 8);
	k->segment = pages((size_t)k->per_segment *
			   (k->n_slots * sizeof(uint16_t) + COPYING_PEERS * sizeof(struct vouched)));
	k->size = k->header + k->n_segments * k->segment;
}

static void read_boot_id(char ret[static 40])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(ret, 0, 40);
	if (fd >= 0 && read(fd, ret, BOOT_ID) < 0)
		ret[0] = '\0';
}

static void fill_header(struct header *h, const struct marked_tables *of)
{
	memset(h, 0, sizeof(*h));
	strcpy(h->magic, MAGIC);
	read_boot_id(h->boot_id);
	h->of = *of;
	h->layout = LAYOUT_VERSION;
}

/* Whether a file holds marks of these tables. */
static bool fits(int fd, const struct copy_marks *k, const struct marked_tables *of)
{
	const size_t size = offsetof(struct header, present);
	struct header found, wanted;
	struct stat st;

	fill_header(&wanted, of);
	return !fstat(fd, &st) && (size_t)st.st_size == k->size && pread(fd, &found, size, 0) == (ssize_t)size &&
	       !memcmp(&found, &wanted, size);
}

static int map_file(struct copy_marks *k)
{
	k->base = mmap(NULL, k->size, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
	if (k->base != MAP_FAILED)
		return 0;
	k->base = NULL;
	return -errno;
}

static int make_file(struct copy_marks *k, const struct marked_tables *of)
{
	int r;

	unlink(k->path);
	k->fd = open(k->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (k->fd < 0)
		return -errno;
	/* Only what is allocated is touched: a store beyond what the file system has room for would end the process. */
	r = -posix_fallocate(k->fd, 0, (off_t)k->header);
	if (!r && ftruncate(k->fd, (off_t)k->size))
		r = -errno;
	if (!r)
		r = map_file(k);
	if (!r)
		fill_header(header_of(k), of);
	return r;
}

/* Has every octet that may be stored to be there: a file that was copied may have holes, for which there may be no
 * room. */
static int fill_holes(const struct copy_marks *k)
{
	int r = posix_fallocate(k->fd, 0, (off_t)k->header);

	for (uint32_t i = 0; !r && i < k->n_segments; i++)
		if (copy_marks_has(k, i))
			r = posix_fallocate(k->fd, (off_t)(k->header + i * k->segment), (off_t)k->segment);
	return -r;
}

static int map_found(struct copy_marks *k)
{
	int r = map_file(k);

	return r ? r : fill_holes(k);
}

static int open_file(struct copy_marks *k, const struct marked_tables *of)
{
	struct error err = { 0 };

	k->fd = open(k->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (k->fd >= 0 && !path_check_file(k->fd, k->path, &err) && fits(k->fd, k, of))
		return map_found(k);
	if (k->fd >= 0) {
		log_info("the marks of copied sessions in %s are of other tables, and are discarded", k->path);
		close(take_fd(k->fd));
	}
	return make_file(k, of);
}

static int open_memory(struct copy_marks *k, const struct marked_tables *of)
{
	k->base = mmap(NULL, k->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (k->base == MAP_FAILED) {
		k->base = NULL;
		return -errno;
	}
	fill_header(header_of(k), of);
	return 0;
}

int copy_marks_open(struct copy_marks *k, const char *path, const struct marked_tables *of)
{
	int r;

	*k = (struct copy_marks){ .fd = -1 };
	shape(k, of);
	if (!path) {
		r = open_memory(k, of);
	} else {
		k->path = strdup(path);
		r = k->path ? open_file(k, of) : -ENOMEM;
	}
	if (r) {
		copy_marks_close(k, true);
		return r;
	}
	for (uint32_t i = 0; i < k->n_segments; i++)
		k->n_present += copy_marks_has(k, i);
	return 0;
}

void copy_marks_close(struct copy_marks *k, bool remove)
{
	if (k->base)
		munmap(k->base, k->size);
	if (k->fd >= 0)
		close(k->fd);
	if (k->path && remove)
		unlink(k->path);
	free(k->path);
	*k = (struct copy_marks){ .fd = -1 };
}

int copy_marks_make(struct copy_marks *k, uint32_t subscriber)
{
	uint32_t segment = subscriber / k->per_segment;

	if (copy_marks_has(k, segment))
		return 0;
	if (k->fd >= 0) {
		int r = posix_fallocate(k->fd, (off_t)(k->header + segment * k->segment), (off_t)k->segment);

		if (r)
			return -r;
	}
	header_of(k)->present[segment / 8] |= (uint8_t)(1U << segment % 8);
	k->n_present++;
	return 0;
}

uint64_t copy_marks_memory(const struct copy_marks *k)
{
	return k->base ? k->header + (uint64_t)k->n_present * k->segment : 0;
}
