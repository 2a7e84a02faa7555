/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNATCTL_PRETTY_H
#define DETNATCTL_PRETTY_H

#include <stddef.h>
#include <stdio.h>

/* Writes a JSON value of size octets with an indented line for each member; its first line begins at that depth. */
void pretty_json(FILE *out, const char *text, size_t size, unsigned depth);

#endif
