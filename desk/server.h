/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP server. A connection has one request. Bodies are limited to BODY_MAX octets each, and together by shares.h;
 * what is longer is 413, and what finds no room 503. No response has a cookie; each forbids scripts and styles of
 * elsewhere.
 */
#ifndef DETNAT_DESK_SERVER_H
#define DETNAT_DESK_SERVER_H

#include "ask.h"
#include "listening.h"

#define BODY_MAX (10U << 20)

/* Begins to serve; it goes on for as long as the process lives. `at` must last as long. 0 or -errno with err. */
int server_start(const struct listening *l, const struct ask_at *at, struct error *err);

#endif
