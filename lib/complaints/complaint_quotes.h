/* SPDX-License-Identifier: BSD-2-Clause */
/* Mails that a text quotes. */
#ifndef DETNAT_COMPLAINT_QUOTES_H
#define DETNAT_COMPLAINT_QUOTES_H

#include "complaints/complaint_private.h"

/* Lines that quote another mail are blanked if the text says enough without them. */
bool quotes_blank(struct reading *x, char *whole);

/* The signs of quoting alone. */
void quotes_bare(struct reading *x);

/*
 * A time of the text itself, if the endpoints are in what it quotes: there may be a new event. The times at which the
 * quoted mails were written are blanked in `whole`.
 */
uint32_t quotes_own_time(const struct reading *x, char *whole);

/* Whether a time says when a mail that is quoted was written: "On Monday at nine, Ann wrote:". */
bool quotes_attribution(const struct reading *x, const struct item *t);

/* A port of the text itself that may be of a new event: "Again today, port 5100". */
uint32_t quotes_own_port(const struct reading *x);

#endif
