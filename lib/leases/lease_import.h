/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other servers wrote down about who had which address, to lines of leases. Files come from outside: each parser
 * takes any octets, and counts what it cannot read.
 */
#ifndef DETNAT_LEASE_IMPORT_H
#define DETNAT_LEASE_IMPORT_H

#include <stdio.h>

#include "leases/accounting_servers.h"
#include "leases/zone.h"
#include "proto/words.h"

/* One reading. The caller sets the members up to `zone`; the rest is zero-initialised. */
struct lease_import {
	lease_take take;
	void *arg;
	int64_t at; /* the time of a file that shows one moment */
	bool live;  /* the file was seen to change: what it ends has ended at `at` */
	struct zone zone;
	const char *tenant; /* of all leases; NULL: not known */
	struct accounting_servers servers;
	uint64_t line;	    /* number of the current line */
	uint64_t events;    /* lines of leases given */
	uint64_t skipped;   /* records that could not be taken */
	struct error first; /* why the first of these was not */
};

/* Reads all of a file. 0, -errno, or what take returned. */
int lease_import(struct lease_import *x, enum lease_format format, FILE *in);

#endif
