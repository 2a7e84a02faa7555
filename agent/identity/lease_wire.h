/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent and detnat-leases send each other, in packets of a Unix socket: orders to the one, reports to the
 * other. Both are of one machine and one version; a packet of another size or version ends the connection.
 */
#ifndef DETNAT_LEASE_WIRE_H
#define DETNAT_LEASE_WIRE_H

#include <limits.h>

#include "base/chain.h"
#include "base/trouble.h"
#include "config/config.h"
#include "identity/identity.h"
#include "identity/lease_means.h"

/* The socket's name, beside the agent's control socket. */
#define LEASES_SOCKET "leases.sock"

/* The descriptor with which detnat-leases starts: a socket that listens, or the agent's end of a pair. */
#define LEASES_FD 3

#define LEASES_VERSION 32U

enum lease_order_kind {
	ORDER_TAKE,    /* these rules are in force; what is missing is waited for */
	ORDER_PREPARE, /* the same is to come, unless the reply is an error */
	ORDER_SETTLE,  /* what was prepared is in force */
	ORDER_ABANDON, /* what was prepared is not wanted */
};

struct lease_order {
	char version[LEASES_VERSION];
	uint32_t kind;
	char dir[PATH_MAX]; /* state_dir */
	struct config_leases rules;
};

enum lease_report_kind { REPORT_STATE, REPORT_REPLY };

/* A state comes each second and after each group of lines; a reply, to each ORDER_PREPARE. */
struct lease_report {
	char version[LEASES_VERSION];
	uint32_t kind;
	int32_t result; /* of a reply: 0 or -errno */
	struct lease_place place;
	char text[TROUBLE_TEXT]; /* the trouble, "" if there is none; or why not */
	struct identity_figures figures;
	uint32_t tell_day; /* 1: the members below are news */
	uint32_t removed;  /* files */
	struct chain_tip tip;
};

#endif
