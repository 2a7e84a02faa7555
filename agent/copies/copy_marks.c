/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/copy_marks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "host/mapped_file.h"
#include "host/paths.h"

/* Marks of a segment. */
#define SEGMENT_SLOTS (1U << 19)
#define PAGE	      4096U
#define MAGIC	      "detnat copies 2"
#define BOOT_ID	      36U

struct header {
	char magic[16];
	char boot_id[40];
	struct marked_tables of;
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

static size_t present_octets(const struct copy_marks *k)
{
	return (k->n_segments + 7) / 8;
}

static void shape(struct copy_marks *k, const struct marked_tables *of)
{
	k->n_slots = of->n_slots;
	k->per_segment = SEGMENT_SLOTS / of->n_slots ? SEGMENT_SLOTS / of->n_slots : 1;
	if (k->per_segment > of->n_subscribers)
		k->per_segment = of->n_subscribers;
	k->n_segments = (of->n_subscribers + k->per_segment - 1) / k->per_segment;
	k->header = pages(sizeof(struct header) + present_octets(k));
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
}

static bool has_size(int fd, size_t size)
{
	struct stat st;

	return !fstat(fd, &st) && (size_t)st.st_size == size;
}

/* Whether a file holds marks of these tables. */
static bool fits(int fd, const struct copy_marks *k, const struct marked_tables *of)
{
	const size_t size = offsetof(struct header, present);
	struct header found, wanted;

	fill_header(&wanted, of);
	return has_size(fd, k->size) && pread(fd, &found, size, 0) == (ssize_t)size && !memcmp(&found, &wanted, size);
}

static int map_file(struct copy_marks *k)
{
	int r = mapped_file_new(k->fd, k->size, &k->file);

	if (!r)
		k->base = mapped_file_base(k->file);
	return r;
}

static int make_file(struct copy_marks *k, const struct marked_tables *of)
{
	_cleanup_rights_ struct rights lesser = path_rights_beside(k->path);
	int r;

	unlink(k->path);
	k->fd = open(k->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (k->fd < 0)
		return -errno;
	/* Touches only allocated octets: a store beyond the file system's free space would be lost. */
	r = -posix_fallocate(k->fd, 0, (off_t)k->header);
	if (!r && ftruncate(k->fd, (off_t)k->size))
		r = -errno;
	if (!r)
		r = map_file(k);
	if (!r)
		fill_header(header_of(k), of);
	return r;
}

/* Allocates every octet that may be stored: a copied file may have holes, for which there may be no space. */
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

	if (r)
		return r;
	memcpy(k->present, header_of(k)->present, present_octets(k));
	return fill_holes(k);
}

static int open_file(struct copy_marks *k, const struct marked_tables *of)
{
	_cleanup_rights_ struct rights lesser = path_rights_beside(k->path);
	struct error err = { 0 };

	k->fd = open(k->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (k->fd >= 0 && !path_check_file(k->fd, k->path, &err) && fits(k->fd, k, of))
		return map_found(k);
	if (k->fd >= 0) {
		log_info("the marks of copied sessions in %s belong to other tables, and are discarded", k->path);
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

/* Unmaps the file, if there is one. */
static void unmap_file(struct copy_marks *k)
{
	if (k->file)
		k->base = NULL;
	mapped_file_free(take_pointer(k->file));
	close_fd(&k->fd);
}

/* Begins a struct. 0 or -ENOMEM. */
static int begin(struct copy_marks *k, const char *path, const struct marked_tables *of)
{
	*k = (struct copy_marks){ .fd = -1 };
	shape(k, of);
	k->present = calloc(1, present_octets(k));
	k->path = path ? strdup(path) : NULL;
	return k->present && (k->path || !path) ? 0 : -ENOMEM;
}

int copy_marks_open(struct copy_marks *k, const char *path, const struct marked_tables *of)
{
	int r = begin(k, path, of), file = 0;

	if (!r && path)
		file = open_file(k, of);
	if (!r && file)
		unmap_file(k);
	if (!r && (file || !path))
		r = open_memory(k, of);
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
	if (!k->file && k->base)
		munmap(k->base, k->size);
	unmap_file(k);
	if (k->path && remove)
		unlink(k->path);
	free(k->path);
	free(k->present);
	*k = (struct copy_marks){ .fd = -1 };
}

bool copy_marks_lost(const struct copy_marks *k)
{
	return k->file &&
	       (k->cut || memcmp(header_of(k)->magic, MAGIC, sizeof(MAGIC)) != 0 || mapped_file_lost(k->file));
}

/* Copies the other's existing marks. */
static int copy(struct copy_marks *k, const struct copy_marks *from)
{
	for (uint32_t i = 0; i < from->n_segments; i++) {
		int r = copy_marks_has(from, i) ? copy_marks_make(k, i * k->per_segment) : 0;

		if (r)
			return r;
		if (copy_marks_has(from, i))
			memcpy(k->base + k->header + i * k->segment, from->base + k->header + i * k->segment,
			       k->segment);
	}
	return 0;
}

/* In a new file, or in memory. */
static int make_again(struct copy_marks *k, bool in_memory, const struct marked_tables *of)
{
	struct copy_marks next;
	int r = begin(&next, k->path, of);

	if (!r)
		r = in_memory ? open_memory(&next, of) : make_file(&next, of);
	if (!r)
		r = copy(&next, k);
	if (r) {
		copy_marks_close(&next, true);
		return r;
	}
	copy_marks_close(k, false);
	*k = next;
	return 0;
}

int copy_marks_mend(struct copy_marks *k, const struct marked_tables *of)
{
	int r = make_again(k, false, of);

	log_warning("%s has been truncated or overwritten: some copied sessions are no longer known as copies",
		    k->path);
	return r ? copy_marks_to_memory(k, of) : 0;
}

int copy_marks_to_memory(struct copy_marks *k, const struct marked_tables *of)
{
	int r = make_again(k, true, of);

	/* The next agent would take it for the whole truth. */
	if (!r)
		unlink(k->path);
	return r;
}

/* Whether the file system has room for the present marks. */
static int has_room(const struct copy_marks *k)
{
	_cleanup_free_ char *directory = strndup(k->path, (size_t)(strrchr(k->path, '/') - k->path));
	struct statvfs s;

	if (!directory)
		return -ENOMEM;
	if (statvfs(directory, &s))
		return -errno;
	return s.f_bavail * s.f_frsize > copy_marks_memory(k) + k->segment ? 0 : -ENOSPC;
}

int copy_marks_to_file(struct copy_marks *k, const struct marked_tables *of)
{
	int r = has_room(k);

	return r ? r : make_again(k, false, of);
}

int copy_marks_make(struct copy_marks *k, uint32_t subscriber)
{
	uint32_t segment = subscriber / k->per_segment;
	int r = 0;

	if (copy_marks_has(k, segment))
		return 0;
	/* The truncated part would come back as zeros. */
	k->cut |= k->fd >= 0 && !has_size(k->fd, k->size);
	if (k->cut)
		return -ESTALE;
	if (k->fd >= 0)
		r = posix_fallocate(k->fd, (off_t)(k->header + segment * k->segment), (off_t)k->segment);
	if (r)
		return -r;
	k->present[segment / 8] |= (uint8_t)(1U << segment % 8);
	header_of(k)->present[segment / 8] = k->present[segment / 8];
	k->n_present++;
	return 0;
}

uint64_t copy_marks_memory(const struct copy_marks *k)
{
	return k->base ? k->header + (uint64_t)k->n_present * k->segment : 0;
}
