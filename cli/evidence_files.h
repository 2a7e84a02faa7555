/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory of evidence: made beside its place, and put there whole. */
#ifndef DETNATCTL_EVIDENCE_FILES_H
#define DETNATCTL_EVIDENCE_FILES_H

#include "base/error.h"
#include "history/history_record.h"

#define EVIDENCE_PATH 4096U

/* Zero-initialised. */
struct evidence {
	char place[EVIDENCE_PATH]; /* DIR/CASE */
	char path[EVIDENCE_PATH];  /* where it is made: DIR/.CASE.XXXXXX */
};

/* Makes the directory in one for temporary files, which has no place. 0 or -errno with err. */
int evidence_begin_temporary(struct evidence *e, struct error *err);

/* Makes the directory. 0, or -errno with err: -EEXIST if there is a case of that name. */
int evidence_begin(struct evidence *e, const char *dir, const char *name, struct error *err);

/* Writes a file of it. 0 or -errno with err. */
int evidence_write(const struct evidence *e, const char *file, const char *text, size_t size, struct error *err);

/* Writes a text as PDF, if a program of the system makes one. 0, or -errno with err. */
int evidence_pdf(const struct evidence *e, const char *file, const char *text, struct error *err);

/* Copies a file of another directory, if it is there. 0 or -errno with err. */
int evidence_copy(const struct evidence *e, const char *from, const char *file, struct error *err);

/*
 * Writes the lines of leases in a directory that concern an inside address, each with the hash of the line before it,
 * so that its own can be checked: {"file":...,"previous":...,"line":{...}}. 0 or -errno with err.
 */
int evidence_leases(const struct evidence *e, const char *from, const char *in_addr, const char *tenant,
		    struct error *err);

/* Writes SHA256SUMS of all files and, with a key, SHA256SUMS.sig by ssh-keygen. 0 or -errno with err. */
int evidence_sign(const struct evidence *e, const char *key, struct error *err);

/* Puts the directory in its place, 0 or -errno with err; or removes what was made. */
int evidence_finish(const struct evidence *e, struct error *err);
void evidence_discard(const struct evidence *e);

/* Prints the directory as a tar archive, in which it has a name. 0 or -errno with err. */
int evidence_tar(const struct evidence *e, const char *name, FILE *out, struct error *err);

#define SHA256_TEXT HASH_TEXT
/* The SHA-256 of a text, in hexadecimal digits. */
void evidence_digest(const char *text, size_t size, char ret[static SHA256_TEXT]);

#endif
