/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be opened, as people write it: "type:path", a stack "type:arg|type:path", or
 * "x-chain:/file" with one "type:path" per line.
 */
#ifndef CORE_PARAMS_H
#define CORE_PARAMS_H

#include <tapdisk.h>

#include "common/reason.h"
#include "drivers/core/server.h"

#define PARAMS_MAX_ITEMS 64
#define PARAMS_MAX_BYTES 4096

struct params_item {
	int type;   /* DISK_TYPE_* */
	char *name; /* owned */
	td_flag_t flags;
};

struct params {
	struct params_item at[PARAMS_MAX_ITEMS]; /* top first */
	int count;
};

/*
 * Take text apart.  Returns 0, or with *why: -EINVAL no colon, empty path, control characters;
 * -ENAMETOOLONG; -ENOENT unknown type; -ENOSYS type that is not built; -EPERM a chain file that
 * others may write; an -errno of reading it.  Reads the chain file, so may block.
 */
int params_parse(const struct tapdisk_server *server, const char *text, struct params *params,
		 struct reason *why);
void params_free(struct params *params);

#endif
