/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread of identity/: what it shares with the event loop, and its work. */
#ifndef DETNAT_IDENTITY_WORKER_H
#define DETNAT_IDENTITY_WORKER_H

#include <pthread.h>

#include "base/trouble.h"
#include "identity/identity.h"
#include "identity/radius.h"
#include "base/ledger.h"

/* What sources of a configuration need. */
struct identity_means {
	struct config_leases rules;
	char *dir;			  /* state_dir */
	int fd[CONFIG_MAX_LEASE_SOURCES]; /* sockets of new addresses; -1: none, or a running one is kept */
	struct radius_secret secret[CONFIG_MAX_LEASE_SOURCES]; /* empty: it could not be read yet */
};

/* Closes what is still open, and frees; NULL is allowed. */
void identity_means_free(struct identity_means *m);

/*
 * Opens the socket and reads the secret of a source; a socket that runs or is open is left alone. 0, or -errno with
 * err, and *ret_key names the key concerned.
 */
int identity_means_source(struct identity_means *m, uint32_t n, const struct config_leases *running,
			  const char **ret_key, struct error *err);

/* Shared with the thread, under its lock. */
struct identity_shared {
	pthread_mutex_t lock;
	int wake;		     /* eventfd, which wakes the thread */
	struct identity_means *next; /* to be put in force by the thread */
	bool end;
	struct identity_figures figures;
	char trouble[TROUBLE_TEXT]; /* "": none */
	bool tell_day;		    /* the members below are news */
	struct chain_tip tip;
	unsigned removed;
};

/* Works until shared->end. Runs in the thread. */
void identity_work(struct identity_shared *shared);

#endif
