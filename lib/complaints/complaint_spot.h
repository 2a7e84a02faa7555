/* SPDX-License-Identifier: BSD-2-Clause */
/* A place of a text at which a time is read. Each function moves it behind what it takes, if it is there. */
#ifndef DETNAT_COMPLAINT_SPOT_H
#define DETNAT_COMPLAINT_SPOT_H

#include "complaints/complaint_time.h"

struct spot {
	const char *at, *end;
};

/* Characters behind a number of a time, in Japanese and Chinese, in simple letters, or in Korean. */
enum glyph { GLYPH_YEAR, GLYPH_MONTH, GLYPH_DAY, GLYPH_HOUR, GLYPH_MINUTE, GLYPH_SECOND };

bool spot_digit(const struct spot *s, size_t i);

/* A number of least to most digits, that no digit follows. */
bool spot_number(struct spot *s, unsigned least, unsigned most, int *ret);

/* One of a few signs; ret: which, or NULL. */
bool spot_one_of(struct spot *s, const char *any, char *ret);

bool spot_octets(struct spot *s, const char *text);

bool spot_glyph(struct spot *s, enum glyph which);

/* Blanks, and one end of a line. */
void spot_blanks(struct spot *s);

/* Words between the parts of a time, of a list, in which blanks are between, and signs. */
void spot_joiners(struct spot *s, const char *list, const char *signs);

/* "22.17.45", as Italian and Danish have it: of a time of the day if something says so, as a date looks alike. */
bool spot_dotted(struct spot *s, struct stamp *t);

/* A time of the day: "10:00:00.25", "1:05 PM", "20h14", "20時14分", with compact "100000". */
bool spot_clock(struct spot *s, struct stamp *t, bool compact);

#endif
