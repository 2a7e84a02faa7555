/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers of the formats, one a file. */
#ifndef DETNAT_IMPORT_FORMATS_H
#define DETNAT_IMPORT_FORMATS_H

#include "import/import.h"
#include "import/import_text.h"

/*
 * Each adds rows and notes. 0, -EINVAL with err if the text cannot be read, or -ENOMEM with err. What a document leaves
 * open is noted, and nothing is guessed.
 */
int import_read_table(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err);
int import_read_vpp(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err);
int import_read_routeros(struct import *m, const struct import_text *text, const struct import_options *options,
			 struct error *err);
int import_read_vyos(struct import *m, const struct import_text *text, const struct import_options *options,
		     struct error *err);
int import_read_junos(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err);
int import_read_fortios(struct import *m, const struct import_text *text, const struct import_options *options,
			struct error *err);
int import_read_nft(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err);
int import_read_iptables(struct import *m, const struct import_text *text, const struct import_options *options,
			 struct error *err);
int import_read_nokia(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err);
int import_read_h3c(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err);

/* The format of a text; IMPORT_AUTO: it looks like none. */
enum import_format import_recognise(const struct import_text *text);

#endif
