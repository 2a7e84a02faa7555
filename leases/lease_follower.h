/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follows the file of a DHCP or access server. It is looked at every second, so that it may appear later, be replaced,
 * truncated, or rewritten while it is read.
 *
 * Files that grow by events (Kea's, ISC dhcpd's) are read from where the last reading ended. Files that show the
 * present (dnsmasq's, accel-ppp's) are read as a whole when they have changed; a lease has ended once two looks in a
 * row lack it.
 */
#ifndef DETNAT_LEASE_FOLLOWER_H
#define DETNAT_LEASE_FOLLOWER_H

#include <sys/stat.h>

#include "config/config.h"
#include "identity/identity.h"
#include "known_leases.h"
#include "lease_writer.h"
#include "leases/lease_import.h"

/* Octets read at a time of a file that grows, and the most of one that shows the present. */
#define GROWTH_PIECE (4U << 20)
#define PRESENT_MAX  (256U << 20)

/* Octets before the place where reading goes on: they show whether it is still the same file. */
#define GROWTH_TAIL 64U

struct lease_follower {
	struct config_lease_source rules;
	enum lease_format format;
	struct known_leases known;
	struct error trouble; /* why the file cannot be followed; "": it can */
	int64_t looked;	      /* by then, all that had changed was read; 0: nothing yet */
	uint64_t warned_us;   /* when unreadable lines were last logged */

	/* Of a file that grows. */
	int fd; /* -1: not open */
	ino_t inode;
	dev_t device;
	off_t at; /* where the next reading begins */
	char tail[GROWTH_TAIL];
	size_t tail_size;
	char header[1024]; /* Kea's first line */
	bool begun;	   /* the file has been read before: what it ends now ends now */
	bool caught_up;	   /* lines may not be on the disk already */

	/* Of one that shows the present. */
	struct stat seen; /* when it was last read */
	int64_t printed;  /* its time then; 0: never */
	uint32_t reading;
	bool gone; /* some leases were not in the last reading */
};

int lease_follower_new(const struct config_lease_source *rules, struct lease_follower **ret); /* -ENOMEM */
void lease_follower_free(struct lease_follower *f);					      /* NULL is allowed */

/* Once a second, unless the writer has failed. Returns whether there is more to read now. */
bool lease_follower_look(struct lease_follower *f, struct lease_writer *w, int64_t now,
			 struct identity_figures *figures);

/* The parts of that, for the two kinds of files. */

/* Each reads what is new. Returns whether there is more. */
bool follow_growth(struct lease_follower *f, struct lease_writer *w, int64_t now, struct identity_figures *figures);
bool follow_present(struct lease_follower *f, struct lease_writer *w, int64_t now, struct identity_figures *figures);

/* Lines of a file on their way; those of a first reading may be on the disk already. */
struct follower_lines {
	struct lease_follower *follower;
	bool first;
	struct lease_batch batch;
	struct lease_writer *writer;
	int64_t since, at; /* what changed has changed between these times */
};

/* Adds a line. 0 or -errno. */
int follower_give(struct follower_lines *lines, const struct lease_line *l);

/*
 * Imports a text that is in memory, and brings the lines of a first reading to the disk; x has take, which gets the
 * lines, and live. 0 or -errno, with the trouble noted.
 */
int follower_import(struct follower_lines *lines, struct lease_import *x, char *text, size_t size, int64_t now,
		    struct identity_figures *figures);

/* Opens the file: a descriptor, or -1 with the trouble noted. */
int follower_open(struct lease_follower *f, const char *path, struct stat *ret);

#endif
