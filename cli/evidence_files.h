/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory of evidence. Its files have no names until all are written, so that nothing of one that is ended stays.
 */
#ifndef DETNATCTL_EVIDENCE_FILES_H
#define DETNATCTL_EVIDENCE_FILES_H

#include "base/error.h"
#include "history/history_record.h"

#define EVIDENCE_PATH  4096U
#define EVIDENCE_FILES 16U

struct evidence_file {
	char name[32];
	int fd;
};

/* Zero-initialised. */
struct evidence {
	char place[EVIDENCE_PATH]; /* DIR/CASE */
	const char *name;	   /* CASE in it */
	bool begun;
	int dir; /* on whose file system the files are */
	unsigned n;
	struct evidence_file file[EVIDENCE_FILES]; /* by name */
};

/* Begins one that has no place. 0 or -errno with err. */
int evidence_begin_temporary(struct evidence *e, struct error *err);

/* Begins one. 0, or -errno with err: -EEXIST if there is a case of that name. */
int evidence_begin(struct evidence *e, const char *dir, const char *name, struct error *err);

/* Writes a file of it. 0 or -errno with err. */
int evidence_write(struct evidence *e, const char *file, const char *text, size_t size, struct error *err);

/* Copies a file of another directory, if it is there. 0 or -errno with err. */
int evidence_copy(struct evidence *e, const char *from, const char *file, struct error *err);

/* The SHA-256 of all files so far, as lines of SHA256SUMS. The caller frees *ret. 0 or -errno with err. */
int evidence_sums(const struct evidence *e, char **ret, struct error *err);

/* Writes SHA256SUMS of all files and, with a key, SHA256SUMS.sig by ssh-keygen. 0 or -errno with err. */
int evidence_sign(struct evidence *e, const char *key, struct error *err);

/* The SHA-256 of SHA256SUMS, once that is written. 0 or -errno with err. */
int evidence_sums_digest(const struct evidence *e, char ret[static HASH_TEXT], struct error *err);

/* Puts the directory with all files in its place. 0 or -errno with err. */
int evidence_finish(const struct evidence *e, struct error *err);

/* Prints the directory as a tar archive, in which it has a name. 0 or -errno with err. */
int evidence_tar(const struct evidence *e, const char *name, FILE *out, struct error *err);

/* Closes its files; those that have no name are gone. */
void evidence_close(const struct evidence *e);

/*
 * Prints a text as a page of HTML that is whole by itself: nothing is fetched or run, and what is between quotes stands
 * apart. The text of its body is the text.
 */
void evidence_html(FILE *out, const char *title, const char *text);

#define SHA256_TEXT HASH_TEXT
/* The SHA-256 of a text, in hexadecimal digits. */
void evidence_digest(const char *text, size_t size, char ret[static SHA256_TEXT]);

#endif
