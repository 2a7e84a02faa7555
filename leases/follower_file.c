/* SPDX-License-Identifier: BSD-2-Clause */
/* What both kinds of files need: opened, and read by the format's parser. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "lease_follower.h"

/* Lines that cannot be read are logged so often. */
#define WARN_US 60000000ULL

static const char *remedy(int r)
{
	switch (r) {
	case ENOENT:
		return "; it is read once it is there";
	case EACCES:
		return "; give the user of detnat-leases the right to read it, by its group for instance";
	default:
		return "";
	}
}

int follower_open(struct lease_follower *f, const char *path, struct stat *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, ret)) {
		error_set(&f->trouble, 0, "%.255s cannot be read: %s%s", path, strerror(errno), remedy(errno));
	} else if (!S_ISREG(ret->st_mode)) {
		error_set(&f->trouble, 0, "%.255s is not a regular file", path);
	} else {
		f->trouble.text[0] = '\0';
		return fd;
	}
	close_fd(&fd);
	return -1;
}

static void warn(struct lease_follower *f, const struct lease_import *x)
{
	uint64_t now_us = monotonic_us();

	if (f->warned_us && now_us - f->warned_us < WARN_US)
		return;
	f->warned_us = now_us;
	log_warning("leases: %s: %llu records cannot be read, the first at %s", f->rules.path,
		    (unsigned long long)x->skipped, x->first.text);
}

int follower_give(struct follower_lines *lines, const struct lease_line *l)
{
	return lines->first ? lease_batch_add(&lines->batch, l) : lease_writer_add(lines->writer, l);
}

static int write_first(struct follower_lines *lines, int64_t now)
{
	int r = lease_batch_write(&lines->batch, now, &lines->follower->trouble);

	lines->writer->written += r ? 0 : lines->batch.lines;
	return r;
}

int follower_import(struct follower_lines *lines, struct lease_import *x, char *text, size_t size, int64_t now,
		    struct identity_figures *figures)
{
	struct lease_follower *f = lines->follower;
	FILE *in = size ? fmemopen(text, size, "r") : NULL;
	int r;

	if (!in)
		return size ? -ENOMEM : 0;
	lines->batch = (struct lease_batch){ .dir = lines->writer->batch.dir, .fresh = true, .opens = true };
	x->arg = lines;
	x->at = lines->at;
	x->zone.given = true;
	x->tenant = *f->rules.tenant ? f->rules.tenant : NULL;
	r = lease_import(x, f->format, in);
	fclose(in);
	figures->unread += x->skipped;
	if (x->skipped)
		warn(f, x);
	if (r == -EBADMSG)
		error_set(&f->trouble, r, "%.255s does not begin as a file of %s does", f->rules.path,
			  word_text(lease_source_words, f->rules.type));
	else if (r)
		error_set(&f->trouble, r, "%.255s cannot be taken: %s", f->rules.path, strerror(-r));
	r = r || !lines->first ? r : write_first(lines, now);
	lease_batch_free(&lines->batch);
	return r;
}
