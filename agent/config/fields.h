/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to config/: the keys of the configuration as tables. A row has the values that a key takes, the member of
 * struct config that keeps it, and the member of struct settings to which it is copied for the programs. Reading,
 * writing and checking use these tables alone, so a new key is one row here and one item in docs/man/detnat.json.5.
 */
#ifndef DETNAT_FIELDS_H
#define DETNAT_FIELDS_H

#include "base/json_scan.h"
#include "config/config.h"

struct reader {
	const char *name; /* of the file, for messages */
	struct json_path path;
	struct config *config;
	struct error *err;
	bool in_tenant; /* the interfaces are those of the tenant beyond the last */
};

struct field;
struct plan_addresses;

struct fields {
	const struct field *field;
	size_t n;
};

struct field_type {
	/* The expected value, such as "a whole number from 1 to 65535". NULL: read() writes its own messages. */
	void (*expected)(const struct field *f, char *text, size_t size);
	/* Stores the value: 0, -EINVAL if it is not of this type, or -ENOMEM. With expected, the caller writes the
	 * message of an -EINVAL; -EBADMSG: the message is set already. */
	int (*read)(struct reader *r, const cJSON *json, const struct field *f, void *value);
	/* Whether a value is in range; NULL: all are. */
	bool (*valid)(const struct field *f, const void *value);
	/* Adds the value to an object, unless it means "not given": 0 or -ENOMEM. */
	int (*write)(cJSON *object, const struct field *f, const void *value);
};

struct field {
	const char *name;
	const struct field_type *type;
	size_t offset; /* in the struct that the table describes */
	size_t size;
	bool required;
	uint32_t min;
	uint32_t max;
	const struct word *words;
	const struct fields *fields; /* of an object */
	ptrdiff_t enabled;	     /* of an object: offset of the flag that it is present; -1: it always is */
	struct {
		size_t offset;
		size_t size;
	} setting; /* the member of struct settings that receives the value; size 0: none */
};

extern const struct fields config_fields;	     /* of struct config */
extern const struct fields config_mapping_fields;    /* of struct config_mapping */
extern const struct fields config_interface_fields;  /* of struct config_interface */
extern const struct fields config_tenant_fields;     /* of struct config_tenant */
extern const struct fields config_interfaces_fields; /* of struct config: the lists of inside and outside ones */
extern const struct fields config_portmap_fields;    /* of struct config_portmap */
extern const struct fields config_lease_fields;	     /* of struct config_lease_source */

/* Single values. */
extern const struct field_type field_number;	 /* uint32_t or uint8_t, min..max */
extern const struct field_type field_auto;	 /* the same, or "auto", which is 0 */
extern const struct field_type field_bool;	 /* bool */
extern const struct field_type field_word;	 /* enum or bool: the number of one of words */
extern const struct field_type field_path;	 /* char *, absolute, at most max octets */
extern const struct field_type field_slots;	 /* uint32_t: a power of two min..max, "auto" */
extern const struct field_type field_mss;	 /* uint32_t */
extern const struct field_type field_endpoint;	 /* struct endpoint with a port of min or more */
extern const struct field_type field_source;	 /* the same, left out if it is all zero */
extern const struct field_type field_prefix;	 /* struct prefix */
extern const struct field_type field_in;	 /* struct prefix of a mapping: a prefix, a range, or a list of these */
extern const struct field_type field_out;	 /* the same, or null, which is PREFIX_NONE */
extern const struct field_type field_exclude;	 /* value: struct config_mapping */
extern const struct field_type field_nat64;	 /* value: struct config_six, left out if the length is 0 */
extern const struct field_type field_first_port; /* uint32_t: as field_quota, but 0 is PORTS_FROM_0 */
extern const struct field_type field_choice;	 /* as field_word, left out if 0 */
extern const struct field_type field_quota;	 /* as field_number, left out if 0 */
extern const struct field_type field_mapping_slots; /* as field_slots, left out if 0 */
extern const struct field_type field_label;	    /* char[]: a name, left out if "" */
extern const struct field_type field_span;	    /* struct port_span, left out if the address is 0 */
extern const struct field_type field_comment;	    /* char[], left out if "" */
extern const struct field_type field_time;	    /* int64_t: seconds since 1970, left out if 0 */
extern const struct field_type field_interface;	    /* char[]: the name of an interface */
extern const struct field_type field_own_word;	    /* uint8_t: as field_word, plus 1; left out if 0 */
extern const struct field_type field_own_number;    /* uint16_t: as field_number, plus 1; left out if 0 */

/* Values that consist of others. */
extern const struct field_type field_object;
extern const struct field_type field_events;
extern const struct field_type field_protocols;
extern const struct field_type field_collectors;	/* value: struct config_ipfix; one or a list */
extern const struct field_type field_syslog;		/* value: struct config_syslog; where messages go */
extern const struct field_type field_interfaces;	/* the list of the role in min; value: struct config */
extern const struct field_type field_top_interfaces;	/* value: struct config; left out if there are tenants */
extern const struct field_type field_tenants;		/* value: struct config */
extern const struct field_type field_tenant_interfaces; /* of the tenant that is being read */
extern const struct field_type field_vrf;		/* char[]: the name of an interface, left out if "" */
extern const struct field_type field_mappings;		/* value: struct config */
extern const struct field_type field_portmaps;		/* value: struct config */
extern const struct field_type field_spare;		/* value: struct config_mapping */
extern const struct field_type field_bypass;		/* value: struct config */
extern const struct field_type field_pcp_listen;	/* value: struct config_pcp, as of the next two */
extern const struct field_type field_pcp_mappings;
extern const struct field_type field_pcp_third_party;
extern const struct field_type field_peers;	     /* value: struct config_replication, as of field_owned_mappings */
extern const struct field_type field_optional_path;  /* char[]: an absolute path, left out if "" */
extern const struct field_type field_key_file;	     /* char[]: an absolute path, or null, which is "" */
extern const struct field_type field_owned_mappings; /* "all", or a list of names */

extern const struct field_type field_lease_sources; /* value: struct config_leases */
extern const struct field_type field_clients;	    /* value: struct config_lease_source; left out if there are none */
extern const struct field_type field_days;	    /* uint32_t: days, as "180d"; left out if 0 */

/* Reads the value at r->path. 0, or -errno with the message set. */
int field_read(struct reader *r, const cJSON *json, const struct field *f, void *base);

/* Reads an object by a table; base is the struct that the table describes. */
int fields_read(struct reader *r, const cJSON *json, const struct fields *t, void *base);

/* Writes all fields into an object. 0 or -ENOMEM. */
int fields_write(cJSON *object, const struct fields *t, const void *base);

/* Checks the ranges of all values: 0, or -EINVAL with a message that starts with the path. */
int fields_validate(const struct fields *t, const void *base, struct json_path *path, const char *name,
		    struct error *err);

/* Refuses spare addresses that are in use already, and portmaps that outlive their address. 0 or -EINVAL. */
/*
 * Gives the inside prefixes of a list of mappings that is about to be read virtual addresses, the outermost first, so
 * that those within others share theirs. Then gives the mapping just read, the last one, its own, and refuses keys that
 * are not of its kind. 0 or -errno, with the message set.
 */
void config_place_prefixes(const cJSON *mappings);
int config_place(struct reader *r, const cJSON *element);

/* Appends the virtual addresses of an element of `in`, a text of IPv6, to a list. 0 or -errno with err. */
int config_add_virtual(const char *text, unsigned subscriber_plen, struct plan_addresses *a, struct error *err);

/* Refuses mappings of IPv6 subscribers that conflict with each other, or with what they cannot have. 0 or -EINVAL. */
int validate_six(const struct config *c, const char *name, struct error *err);

/* Cuts the mapping just read, the last one, into parts if its JSON has lists: 0 or -errno, with the message set. */
int config_cut_lists(struct reader *r, const cJSON *element);

/* Refuses tenants that conflict with each other, the interfaces or the mappings. 0 or -EINVAL. */
int validate_tenants(const struct config *c, const char *name, struct error *err);

/* An interface's value in a list of interfaces, and the list of a role. 0 or -ENOMEM. */
int interface_append(cJSON *list, const struct config_interface *i);

int validate_spare(const struct config *c, const char *name, struct error *err);
int validate_until(const struct config *c, const char *name, struct error *err);

/* Refuses pcp values that conflict with each other or with the rest of the configuration. 0 or -EINVAL. */
int validate_pcp(const struct config *c, const char *name, struct error *err);

/* The same for replication. */
int validate_replication(const struct config *c, const char *name, struct error *err);

/* The same for leases. */
int validate_leases(const struct config *c, const char *name, struct error *err);

/* Refuses `attack` where there are more pool addresses than can be counted. 0 or -EINVAL. */
int validate_attack(const struct config *c, const char *name, struct error *err);

/* Refuses a value that is not an array, or the first element beyond max. */
int expect_array(struct reader *r, const cJSON *json, size_t max, const char *of_what);

/* Writes a list of n objects with the field's keys; size: of each in memory. 0 or -ENOMEM. */
int records_write(cJSON *object, const struct field *f, const void *records, size_t size, size_t n);

/* Reads an element of a list into place n of its array. 0 or -errno with the message set. */
typedef int (*element_read)(struct reader *r, const cJSON *json, void *array, uint32_t n);

/* Reads a list of 1 to max elements. 0 or -errno with the message set. */
int elements_read(struct reader *r, const cJSON *json, void *array, element_read read, uint32_t max,
		  const char *of_what, uint32_t *ret_n);

/* Sets the message that an element is in the list twice. */
int element_repeated(struct reader *r, const cJSON *json);

/* Reads an element that is the name of a mapping; the array is of char[LABEL_TEXT]. */
int element_mapping_read(struct reader *r, const cJSON *json, void *array, uint32_t n);

/* A list of such names; NULL: out of memory. */
cJSON *element_mappings_write(const char (*names)[LABEL_TEXT], uint32_t n);

/* Numbers of one or four octets. */
uint32_t number_load(const void *value, size_t size);
void number_store(void *value, size_t size, uint32_t n);

/* Stores a message about json, at r->path, and returns -EINVAL. */
int reader_refuse(struct reader *r, const cJSON *json, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Stores the out-of-memory message, and returns -ENOMEM. */
int reader_no_memory(struct reader *r);

/* Stores the lines for config_line(). 0 or -ENOMEM. */
int config_lines_read(struct config *c, const cJSON *document);

/* Adds an item under a name. NULL, from a failed allocation, gives -ENOMEM. Takes or frees the item. */
int json_add(cJSON *object, const char *name, cJSON *item);

/* The same for an array. */
int json_append(cJSON *array, cJSON *item);

#endif
