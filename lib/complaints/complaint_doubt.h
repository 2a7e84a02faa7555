/* SPDX-License-Identifier: BSD-2-Clause */
/* Words by which a text says that it is not sure of a question, takes it back, or says something else instead. */
#ifndef DETNAT_COMPLAINT_DOUBT_H
#define DETNAT_COMPLAINT_DOUBT_H

#include "complaints/complaint_private.h"

enum {
	IS_ABOUT = 1,	       /* "approximately" */
	IS_MAYBE = 2,	       /* "perhaps", and verbs of thinking */
	IS_SURE = 4,	       /* which a negation makes a doubt */
	IS_NOT = 8,	       /* a negation */
	IS_PERSON = 16,	       /* "I" */
	IS_BETWEEN = 32,       /* a span follows */
	IS_JOINER = 64,	       /* between the ends of a span */
	IS_CLOCK = 128,	       /* a clock of a machine */
	IS_WRONG = 256,	       /* of a clock */
	IS_SORRY = 512,	       /* a correction follows */
	IS_CORRECT = 1024,     /* it is one */
	IS_FALSE = 2048,       /* it is one if it is said of a time or a port */
	IS_LARGE = 4096,       /* a unit of which an error counts */
	IS_SMALL = 8192,       /* and of which it does not */
	IS_ROUGH = 16384,      /* "approximately", which may stand behind, too */
	IS_LATER = 32768,      /* of the day: what is 7 there may be 19 */
	IS_SECRET = 65536,     /* what may be wrong, too: "wrong password" */
	IS_ASKED = 131072,     /* of others, unless a person does it */
	IS_WISH = 262144,      /* of others */
	IS_IGNORE = 524288,    /* what it says of is taken back, where it is asked for */
	IS_ACT = 1048576,      /* the same, where it is negated */
	IS_PLEASE = 2097152,   /* something is asked for */
	IS_IF = 4194304,       /* under a condition alone */
	IS_ABOVE = 8388608,    /* which one: above, */
	IS_BELOW = 16777216,   /* or below */
	IS_ENTRY = 33554432,   /* one line or record */
	IS_MANY = 67108864,    /* of which there are several */
	IS_LETTER = 134217728, /* the whole mail */
	IS_EXAMPLE = 268435456,
	IS_FORM = 536870912,  /* of which no event is an example */
	IS_REAL = 1073741824, /* of which one is: a log; and "for" before "example" */
};

/* What an event may have been that was none, in words of several. */
#define IS_ALARM 0x80000000U

/* The words, in the order of their octets. */
enum {
#define WORD(text, is) +1
	DOUBT_WORDS =
#include "complaints/complaint_doubt.def"
#undef WORD
};

extern const struct word doubt_table[DOUBT_WORDS];

/* What a folded word is. */
unsigned doubt_meaning(const char *folded);

/* What words say from a place on up to an end: bits of the first word, and of all. */
struct said {
	unsigned first, any;
};

struct said doubt_words(const char *at, const char *end);

/* What the nearest word before a value says of it, of those that are meant. */
unsigned doubt_before(const char *begin, const char *at, unsigned meant);

/* An hour at a place, with seconds or without. Its end, or NULL. */
struct hour {
	unsigned number[3];
	bool seconds;
};

const char *doubt_hour(const char *at, const char *end, struct hour *ret);

/* What a correction says: an address, a port, an hour or a day. */
struct correction {
	enum item_kind kind;
	uint32_t addr;
	unsigned port;
	struct hour hour;
	struct stamp day; /* of a time; without a date: the hour is said alone */
};

/* Corrections that say more values than these are not told apart. */
#define CORRECTED 64U
/* Nor are stretches that are taken back, if they are more. */
#define WITHDRAWN 16U

/* Nor are places at which another address is spoken of. */
#define OTHERS 32U

/* A stretch of the text of which no event is to be taken. */
struct taken_back {
	const char *begin, *end;
	uint8_t doubt;
};

/* What the sentences of a text say of its questions. */
struct doubts {
	struct reading *x;
	const char *clock;		   /* where a text says that a clock is wrong, or NULL */
	const char *wrong;		   /* where it says that something is, and not what is right, or NULL */
	const char *ports;		   /* where the sentence ends that was looked at for this */
	const char *clocks;		   /* and that for clocks, */
	const char *means;		   /* and for what is made of several */
	const char *rounds;		   /* and for what is rounded, */
	const char *shown;		   /* and for what shows the times */
	const char *said_begin, *said_end; /* the sentence whose words said this of clocks, as doubt_clock_words() */
	unsigned clock_words;
	const char *others[OTHERS]; /* where it speaks of another address or port */
	unsigned n_others;	    /* OTHERS + 1: more */
	const char *winter;	    /* where it says that a clock is not set to summer time, or NULL */
	const char *twelve;	    /* where it says that a clock shows twelve hours, or NULL */
	const char *rewritten; /* where it says that its ports or addresses are not those that were used, or NULL */
	struct correction said[CORRECTED];
	unsigned n; /* CORRECTED + 1: more */
	struct taken_back taken[WITHDRAWN];
	unsigned n_taken; /* WITHDRAWN + 1: more */
};

/* Reads the sentences. */
void doubt_survey(struct doubts *d);

/* What they keep a question from being definite by. */
uint8_t doubt_said(const struct doubts *d, const struct item *a);

/* A sentence that may take something back, or give an example of a form. at: a word of it; is: what its words are. */
void doubt_take_back(struct doubts *d, const char *begin, const char *end, const char *at, unsigned is);

/*
 * A word for an error, for a port or an address, for "add" and "subtract", for what sets or shows a clock, for what is
 * made of several, for "another", or for what is exchanged.
 */
enum {
	MARK_ERROR = 1,
	MARK_PORT = 2,
	MARK_SHIFT = 4,
	MARK_CLOCK = 8,
	MARK_MEAN = 16,
	MARK_OTHER = 32,
	MARK_SWAP = 64,
	MARK_ROUND = 128,
	MARK_SECOND = 256,
	MARK_SHOWS = 512,
	MARK_TIMES = 1024,
	MARK_LOGS = 2048,
	MARK_MOVED = 4096,
	MARK_STEPPED = 8192,
	MARK_MACHINE = 16384
};

unsigned doubt_mark(const char *folded);

/* Takes each of these words. */
void doubt_each_mark(void (*take)(void *arg, const char *text), void *arg);

/*
 * Whether there is the error of a clock behind a word for one, which ends at a place, or behind a sign for one: more
 * than few seconds.
 */
bool doubt_margin(const char *text, const char *word, const char *at, const char *end);
bool doubt_margin_sign(const char *text, const char *sign, const char *at, const char *end);

/* Whether a sentence says of times that they have no seconds: "timestamps are rounded to five minutes". */
bool doubt_granularity(const char *begin, const char *end);

/* Whether it says that a clock was set by more than few seconds, so that what it showed before was wrong. */
bool doubt_stepped(const char *begin, const char *end);

/* Whether what is to be added are hours, to times: "add two hours to the times below". at: behind "add". */
bool doubt_shift(const char *at, const char *end);

/* Of a time that is too early. */
#define DOUBT_EARLY "early fruh tot temprano presto vroeg wczesnie"

/*
 * What the words of a sentence may say of a clock, in one look at each: without CLOCK_UNSET none of
 * doubt_unset_clock() and doubt_no_summer() is true, without CLOCK_ARRIVAL not doubt_arrival(), and so on; CLOCK_LATE:
 * that a time is late or early, CLOCK_SHOWN: doubt_shown_times().
 */
enum { CLOCK_UNSET = 1, CLOCK_TWELVE = 2, CLOCK_ARRIVAL = 4, CLOCK_STEPPED = 8, CLOCK_LATE = 16, CLOCK_SHOWN = 32 };

unsigned doubt_clock_words(const char *begin, const char *end);

/* Whether a sentence says of a clock that nothing sets it, or that it shows twelve hours, and not which. */
bool doubt_unset_clock(const char *begin, const char *end);
bool doubt_twelve_hours(const char *begin, const char *end);

/*
 * Whether it says of what shows the times of a text that it is off by minutes or more, or that they were moved: "our
 * clock is four minutes in the future", "timestamps were shifted by a random amount".
 */
bool doubt_shown_times(const char *begin, const char *end);

/* Whether it says that no clock is set to summer time: one whose zone has such a time does not show that zone's. */
bool doubt_no_summer(const char *begin, const char *end);

/* Whether it says of times that they are those of arrival: "the times are those at which our collector got them". */
bool doubt_arrival(const char *begin, const char *end);

/* Whether a sentence tells a time that is made of several: "the median time of the events". */
bool doubt_mean_time(const char *begin, const char *end);

/* Notes that a text speaks of another address, if it does at a word for "another"; at: its end. */
void doubt_note_other(struct doubts *d, const char *word, const char *at);

/* Whether the time of a question is that of such a one, by the sentence in which both stand. */
bool doubt_of_other(const struct doubts *d, const struct item *a);

/* Adds a stretch of which no event is definite. */
void doubt_take(struct doubts *d, const char *begin, const char *end, uint8_t doubt);

/* Whether a sentence says of ports or addresses that they are not those that were used. */
bool doubt_rewritten(const char *begin, const char *end);

/* Whether a sentence says of an event that it was none: a false alarm, an own test. */
bool doubt_was_nothing(const char *begin, const char *end);

#endif
