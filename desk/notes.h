/* SPDX-License-Identifier: BSD-2-Clause */
/* Who asked what, for which case and why: a line for each look at a person, and for each that was refused. */
#ifndef DETNAT_DESK_NOTES_H
#define DETNAT_DESK_NOTES_H

struct note {
	const char *asker;	      /* NULL: nobody is known */
	const char *kind;	      /* what was asked: "who", "customer" ... */
	const char *question;	      /* NULL: it was not read */
	const char *case_id, *reason; /* NULL: none was given */
	unsigned status;	      /* of HTTP */
	const char *refused;	      /* why there was no answer; NULL: there was one */
};

/* Its texts may have any octets. */
void note_look(const struct note *n);

#endif
