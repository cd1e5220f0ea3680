/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * td-conform: does every driver of disktypes.h keep the contract of tapdisk.h?
 *
 *	td-conform [--long] [TYPE...]
 *
 * Prints a line per driver and item in the Test Anything Protocol.  TD_CONFORM_SEED repeats a run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/tapdisk-disktype.h"
#include "tests/driver-kit/kit.h"

static bool
is_wanted(const char *handle, char **types, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (strcmp(types[i], handle) == 0)
			return true;
	return !count;
}

/* Does the item say anything about such a driver? */
static bool
applies(const struct kit *kit, const struct kit_item *item)
{
	return (kit->is_file || !item->needs_file) && (kit->keeps_data || !item->needs_data) &&
	       (kit->kind->is_raw || !item->needs_raw);
}

/* Run one item over a fresh disk.  Returns 1 when it failed. */
static int
run_item(struct kit *kit, const struct kit_item *item, int *number)
{
	unsigned seed = kit->seed;
	bool passed = true;

	kit_begin(kit);
	if (applies(kit, item)) {
		passed = item->run(kit);
		printf("%s %d - %s%s: %s\n", passed ? "ok" : "not ok", ++*number, kit->type->handle,
		       kit->kind->variant ? kit->kind->variant : "", item->name);
	}
	if (!passed)
		printf("# %s (TD_CONFORM_SEED=%u)\n", kit->why, seed);
	kit_end(kit);
	return !passed;
}

/* All items, for each kind of image that the driver has.  Returns how many failed. */
static int
run_items(struct kit *kit, int *number)
{
	const struct kit_item *item;
	unsigned seed = kit->seed;
	int failed = 0, n;

	for (n = 0; (kit->kind = kit_kind(kit->type->handle, n)); n++) {
		for (item = kit_items; item->name; item++) {
			kit->seed = seed;
			failed += run_item(kit, item, number);
		}
	}
	kit->seed = seed;
	return failed;
}

int
main(int argc, char **argv)
{
	struct kit kit = {
		.seed = (unsigned)kit_number("TD_CONFORM_SEED", (unsigned long)time(NULL)),
	};
	int number = 0, failed = 0;

	if (argc > 1 && strcmp(argv[1], "--long") == 0) {
		kit.long_run = true;
		argv++;
		argc--;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# TD_CONFORM_SEED=%u\n", kit.seed);
	kit.types = tapdisk_disktype_table();
	for (kit.type = kit.types; kit.type->handle; kit.type++) {
		if (!kit.type->ops || !is_wanted(kit.type->handle, argv + 1, argc - 1))
			continue;
		failed += run_items(&kit, &number);
	}
	printf("1..%d\n", number);
	free(kit.types);
	return failed || !number;
}
