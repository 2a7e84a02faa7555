/* SPDX-License-Identifier: BSD-2-Clause */
/* What the forms of complaints are made of: items, each of a scope, which tie together. */
#ifndef DETNAT_COMPLAINT_PRIVATE_H
#define DETNAT_COMPLAINT_PRIVATE_H

#include "complaints/complaint.h"
#include "complaints/complaint_octets.h"
#include "complaints/complaint_time.h"
#include "complaints/complaint_words.h"

#define NONE UINT32_MAX

enum item_kind { ITEM_ADDR, ITEM_PORT, ITEM_TIME, ITEM_ZONE, ITEM_PROTO };

/* An address, a port, … that was found in the text. A hostile mail has millions. */
struct item {
	uint8_t kind;
	union {
		uint8_t rank;  /* of a time: see enum rank */
		uint8_t doubt; /* of an address that is FAULT_UNSURE, why: see enum doubt */
	};
	uint8_t role;	  /* WORD_SOURCE, WORD_TARGET or 0 */
	bool keyed : 1;	  /* of a zone: the value of a key or of a column */
	bool field : 1;	  /* the same, of one that names a zone: that of the times of its record */
	bool cut : 1;	  /* the text ends within its record */
	bool done : 1;	  /* tied to a question */
	bool stamped : 1; /* of a time: it begins a line of a log */
	bool joined : 1;  /* of a time: its day stands elsewhere */
	bool local : 1;	  /* of a time: what names it says so */
	bool also : 1;	  /* of an address: it follows another by "and" */
	bool assumed : 1; /* of a port: that it is the target's, as nothing says whose it is */
	bool mean : 1;	  /* of a time: of several, as what names it says */
	bool above : 1;	  /* of an address: of a row above, as its own row has none */
	uint8_t fault;	  /* of an address: of what kind it is ambiguous */
	uint8_t proto;	  /* of a protocol: 6 or 17; of an address, that which is tied to it, or 0 */
	uint16_t port;	  /* of a port */
	union {
		uint32_t addr;	/* of an address */
		uint32_t stamp; /* of a time or a zone: in `stamps` */
	};
	uint32_t scope;
	uint32_t at, size;	       /* octets in the text */
	uint32_t port_item, time_item; /* of an address, what is tied to it, or NONE */
	uint32_t other;		       /* of an address: another candidate, which makes it ambiguous, or NONE */
	uint32_t next;		       /* in a list of its scope */
};

/* Which of several times is meant: the lowest, but none from RANK_END on. RANK_NAMED: its key names something else. */
enum rank { RANK_SCHEMA, RANK_EVENT, RANK_NEUTRAL, RANK_STRAY, RANK_LATE, RANK_END, RANK_NAMED, RANK_OTHER };

/* What a text says of the values of a question that it is not sure of. */
enum doubt {
	DOUBT_NONE,
	DOUBT_SPAN,
	DOUBT_ABOUT,
	DOUBT_MAYBE,
	DOUBT_ADDRESS,
	DOUBT_CLOCK,
	DOUBT_TWELVE,
	DOUBT_CORRECTED,
	DOUBT_WEEKDAY,
	DOUBT_MIDNIGHT,
	DOUBT_WITHDRAWN,
	DOUBT_EXAMPLE,
	DOUBT_REWRITTEN,
	DOUBT_BEFORE,
	DOUBT_RIVAL,
	DOUBT_RIVAL_OTHER,
	DOUBT_ABOVE
};

#define SCOPE_ITEMS 6U

/* A line, a row, an object, a block, a part: what is in it belongs together more than with what is outside. */
struct scope {
	uint32_t parent;
	bool closed : 1;		    /* its addresses take nothing from outside, and it gives nothing to it */
	bool sourced : 1;		    /* of a record: an address in it is named as the source */
	bool source_port : 1, portless : 1; /* a port is so, and stands apart; an address has no port */
	bool block : 1;			    /* of lines without an empty one between */
	bool line : 1;			    /* of such a block, and no "Key: value" */
	uint32_t first, last;		    /* of its own items, a list, until they are in its bag */
	uint32_t bag;			    /* while items are tied, or NONE */
	uint32_t zones;			    /* when they are: in `zones`, or NONE */
};

/* Zones that a scope names, or one within it; distinct ones, no more than SCOPE_ITEMS. */
struct scope_zones {
	uint32_t n, items[SCOPE_ITEMS];
};

/* A part of a mail. */
struct part {
	uint32_t at; /* in the text */
	bool header; /* it begins with the header of a mail */
};

/* More parts that were not read are not named. */
#define MAX_NOTICES 100U

/* The line and the column, both from 1, of an octet of the text that was handed over. */
struct landmark {
	uint32_t line, column;
};

/* More zones are not denied. */
#define DENIED 4U

/* More alternatives of a mail are not compared. */
#define RIVALS 4U

/* Of the last different zones, the stamps are used again. */
#define ZONES_KEPT 8U

/* A clause of a text in which zones stand, and the last of its words that ask for something. */
struct clause {
	const char *zone;	  /* the last that was asked about */
	const char *begin, *stop; /* NULL: none was */
	const char *read;	  /* up to there its words are noted */
	bool ended;		  /* what ends a clause is at `stop` */
	const char *wish, *asked, *person;
	const char *doubted, *maybe; /* the same of words that doubt, whatever the clause: where they are noted up to */
};

/* A reading. */
struct reading {
	const struct complaint_reader *reader;
	struct octets whole; /* what was handed over, in UTF-8, with line feeds; ends with a NUL */
	struct landmark *landmarks;
	char *text;	     /* decoded; ends with a NUL */
	struct origins from; /* of its octets, in `whole` */
	size_t size;
	struct part *parts;
	size_t n_parts, room_parts;
	struct item *items;
	size_t n_items, room_items;
	struct stamp *stamps;
	size_t n_stamps, room_stamps;
	uint32_t zone_stamps[ZONES_KEPT]; /* stamps of zones, in a circle */
	size_t n_zone_stamps;
	struct scope *scopes;
	size_t n_scopes, room_scopes;
	struct scope_zones *zones;
	size_t n_zones, room_zones;
	size_t first_item;	     /* of the record; a day before it is not joined with an hour in it */
	uint32_t own_time;	     /* in the text, a time before the mail that it quotes, and asks about; NONE */
	uint32_t own_port;	     /* the same, a port that is not said to be the target's; NONE */
	uint32_t addr;		     /* the address before, which a port without a role belongs to; NONE */
	uint8_t quoted;		     /* what a mail says above what it quotes that makes it no question: enum doubt */
	bool xarf;		     /* JSON of X-ARF 4, whose "timestamp" is the incident's */
	bool served;		     /* its scheme says that a port without a role is the service's */
	bool paired;		     /* the format of the log above: an address, then its port */
	bool routed;		     /* the header of a mail within has "Received:" */
	bool received;		     /* which is read, as nothing else has an endpoint */
	const char *broken;	     /* the end of a part in which JSON or XML has no end */
	bool seen, foreign;	     /* an address; one that is of no pool */
	struct claim denied[DENIED]; /* zones that the text says are not those of its times */
	unsigned n_denied;
	struct rival *rivals[RIVALS]; /* texts that were read in the place of another */
	unsigned n_rivals;
	struct clause clause;
	struct stamp sent;	       /* the time of the mail's own header */
	unsigned told;		       /* notices */
	uint32_t told_at[MAX_NOTICES]; /* where they begin in what was handed over */
	size_t in_vain;		       /* octets in which ends of structures were looked for that have none */
	int error;		       /* -ENOMEM, after which nothing is added */
};

/* What a place of a text says that stands alone, and within what. */
struct stretch {
	uint32_t scope;
	const char *begin, *end;
	const char *all_end;	   /* of the text in which a time that has begun may go on in the line below, or NULL */
	const char *key, *key_end; /* a name for the whole, or NULL */
	bool keyed;		   /* "Key: value" in the text */
	bool cells;		   /* a value of a structure: numbers need no word before them */
};

/* Decodes what programs of mail have encoded, into a new text with its parts. 0 or -ENOMEM. */
int complaint_decode(struct reading *x, const char *text, size_t size);

/* Adds a scope. Returns its number. */
uint32_t scope_add(struct reading *x, uint32_t parent);

/* Adds an item. Returns its number, or NONE. */
uint32_t item_add(struct reading *x, enum item_kind kind, uint32_t scope, const char *at, const char *end);
uint32_t item_time(struct reading *x, uint32_t scope, const char *at, const char *end, const struct stamp *s);
uint32_t item_zone(struct reading *x, uint32_t scope, const char *at, const char *end, const struct claim *c);

/* The text of an item, in a line. */
void complaint_text_of(const struct reading *x, uint32_t item, char ret[static 60]);

/* Finds the items of a stretch. Returns where it ends, behind the end of the stretch if a time goes on there. */
const char *complaint_scan(struct reading *x, const struct stretch *s);

/* Gives endpoints of a line that each have a time in parentheses a scope each. first: item of the line. */
void complaint_own_times(struct reading *x, uint32_t scope, size_t first);

/* Separates the names of objects within each other that are a key together. */
#define KEY_PART '\n'

/* Finds the items of the value of a key. A text in which an address is, such as a line of a log, is a record within. */
void complaint_value(struct reading *x, uint32_t scope, const char *key, const char *key_end, const char *at,
		     const char *end);

/* An address at a place: its end, or NULL. */
const char *addr_at(const char *at, const char *end, uint32_t *ret);

/* One of IPv6, which no gateway here translates: its end, or NULL. Nothing is before it that could be of it. */
const char *addr_ipv6_at(const char *at, const char *end);

/* Whether nobody is asked about an address by a complaint: it is private, or no host's. */
bool addr_nobodys(uint32_t addr);

/* Each reads its form at a place of a line, if it is there. Returns its end, or NULL if it is of another form. */
const char *complaint_json(struct reading *x, uint32_t scope, const char *at, const char *end);
const char *complaint_xml(struct reading *x, uint32_t scope, const char *at, const char *end);
const char *complaint_table(struct reading *x, uint32_t scope, const char *at, const char *end);

/*
 * Whether the last sentence of a paragraph says of the day that is an item of it that what stands below happened then.
 */
bool complaint_gives_day(const struct reading *x, uint32_t day, const char *begin, const char *end);

/* Reads the parts of the text, with the forms above. */
void complaint_text(struct reading *x);

/* The line, row, object or block around a scope that is a record of its own. */
uint32_t complaint_record(const struct reading *x, uint32_t scope);

/* Leaves the addresses that the complaint is about. */
void complaint_sides(struct reading *x);

/* An address of the gateway's that is named as the target, of which nothing is asked then; NONE: there is none. */
uint32_t complaint_target_of_ours(const struct reading *x);

/* Ties the items of each scope, from the innermost out. */
void complaint_tie(struct reading *x);

/* Unties times of sentences that speak of another event than that of the port. */
void complaint_apart(struct reading *x);

/* Doubts times that a block ranks before another that may be the only one of an address. */
void complaint_between(struct reading *x);

/* Finds the questions of which the text itself is not sure. */
void complaint_doubt(struct reading *x);

/* Whether the word before a time is a day of the week that its day is not. */
bool complaint_other_weekday(const struct reading *x, const struct item *time);

/*
 * What a text, without what it quotes, says of that: that the case is settled, or to be closed, or that it happened
 * again; DOUBT_NONE: neither.
 */
uint8_t complaint_about_quoted(const struct reading *x);

/*
 * Notes that a text was read and another was not, though both have the same addresses: a mail's and its HTML's. Places
 * are of the decoded text.
 */
void rival_note(struct reading *x, const char *text, size_t begin, size_t end, const char *other,
		const char *other_end);

/* Whether the other text has another port in the place of that of an address. */
bool rival_contradicts(const struct reading *x, const struct item *addr);

/* Whether the text of an address and the other have the same but for an address, a time or a zone. */
bool rival_differs(const struct reading *x, const struct item *addr);

/* Doubts hours that go on behind midnight, of a day that is named once. */
void complaint_midnights(struct reading *x);

/* Whether a text asks for times of a zone at a place, which are not its own then: "Please send logs in UTC". */
bool complaint_asked_zone(struct reading *x, const char *at, const char *end);

/* Whether a text says of a zone at a place that it may be another. */
bool complaint_unsure_zone(struct reading *x, const char *at, const char *end);

/* Gives the questions and what is none. As complaint_read(). */
int complaint_give(struct reading *x);

/* Whether the end of a structure is still looked for: what costs time is the one that has none, again and again. */
bool complaint_may_look(struct reading *x);

/* Tells what was not read, which begins at a place of the text. */
void __attribute__((format(printf, 4, 5)))
complaint_tell(struct reading *x, const char *at, enum complaint_notice_code code, const char *format, ...);

/* The same at a place of what was handed over; name: of the file, or "". */
void __attribute__((format(printf, 5, 6)))
complaint_tell_part(struct reading *x, uint32_t at, const char *name, enum complaint_notice_code code,
		    const char *format, ...);

/* Makes the landmarks of what was handed over. 0 or -ENOMEM. */
int complaint_survey(struct reading *x);

/* Where octets of the text are in what was handed over. Takes the same time for each place. */
struct complaint_place complaint_place(struct reading *x, uint32_t at, uint32_t size);

#endif
