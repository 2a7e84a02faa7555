/* SPDX-License-Identifier: BSD-2-Clause */
/* A session as a line of JSON, written by hand: a listing may have many millions. */
#ifndef DETNAT_LISTING_H
#define DETNAT_LISTING_H

#include <stddef.h>

#include "sessions/sessions.h"

/* Room for the longest line. */
#define SESSION_TEXT 256U

/* Writes the object of the contract and a newline; returns how many octets. No NUL. */
size_t session_text(const struct session *s, char text[static SESSION_TEXT]);

#endif
