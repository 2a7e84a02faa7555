/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a session as a line of JSON, without a JSON library, because a listing may have many millions of lines. */
#ifndef DETNAT_LISTING_H
#define DETNAT_LISTING_H

#include <stddef.h>

#include "sessions/sessions.h"

/* Space for the longest line. */
#define SESSION_TEXT 256U

/* Writes the object that `session list` prints and a newline, without a NUL; returns the number of octets. */
size_t session_text(const struct session *s, char text[static SESSION_TEXT]);

#endif
