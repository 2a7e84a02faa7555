/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors: a negative errno for the program, and a text for the operator. */
#ifndef DETNAT_ERROR_H
#define DETNAT_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* The reason for a refusal: the fault, its place, and the remedy. */
struct error {
	char text[512];
};

/* Stores a text and returns r, so that a caller can write `return error_set(err, -EINVAL, "…")`. err may be NULL. */
static inline int __attribute__((format(printf, 3, 4))) error_set(struct error *err, int r, const char *format, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return r;
}

/* The errno set by libbpf or libevent, as -errno; -otherwise if they set none. */
static inline int errno_or(int otherwise)
{
	return errno ? -errno : -otherwise;
}

/* Whether an error (-errno) can pass without an operator: scarce resources, read-only file systems. */
bool error_passes(int r);

#endif
