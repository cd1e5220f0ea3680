/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run by the build, on the machine that builds: checks the table of disktypes.h, and writes what is
 * derived from it.  A fault in the table ends the build with the step of the guide (blktap2/README)
 * that it concerns.
 *
 *	disktypes-gen python	the handles, as the Python module blktap_disk_types_gen
 *	disktypes-gen list	"number handle name", a line each
 *	disktypes-gen header	the handles of the singletons, for C
 */
#include <stdio.h>
#include <string.h>

#include "drivers/disktypes-check.h"

/* The number of faults. */
static int
check_table(void)
{
	const char *fault;
	int faults = 0, i;

	for (i = 0; i < DTYPES; i++) {
		fault = disktypes_fault(i);
		if (!fault)
			continue;
		fprintf(stderr, "disktypes.h: dtypes[%d] (\"%.9s\"): %s\n", i, dtypes[i]->handle,
			fault);
		faults++;
	}
	return faults;
}

/* The measuring driver is no disk that a guest's configuration could name. */
static int
is_for_guests(const disk_info_t *entry)
{
	return entry != &null_disk && strcmp(entry->handle, null_disk.handle) != 0;
}

static void
print_python(void)
{
	int i;

	puts("# generated from drivers/disktypes.h: do not edit");
	puts("\"\"\"The disk types that tapdisk2 was built with.\"\"\"");
	puts("");
	puts("HANDLES = (");
	for (i = 0; i < DTYPES; i++)
		if (is_for_guests(dtypes[i]))
			printf("    '%s',\n", dtypes[i]->handle);
	puts(")");
}

static void
print_list(void)
{
	int i;

	for (i = 0; i < DTYPES; i++)
		if (dtypes[i] != &null_disk)
			printf("%d %s %s\n", i, dtypes[i]->handle, dtypes[i]->name);
}

static void
print_header(void)
{
	int i;

	puts("/* SPDX-License-Identifier: BSD-2-Clause */");
	puts("/* generated from drivers/disktypes.h: do not edit */");
	puts("/* X(handle) for each type of which one process serves all disks of a name. */");
	fputs("#define DISKTYPES_SINGLETONS(X)", stdout);
	for (i = 0; i < DTYPES; i++)
		if (dtypes[i] != &null_disk && dtypes[i]->single_handler)
			printf(" X(\"%s\")", dtypes[i]->handle);
	puts("");
}

int
main(int argc, char **argv)
{
	if (check_table())
		return 1;
	if (argc == 2 && strcmp(argv[1], "python") == 0)
		print_python();
	else if (argc == 2 && strcmp(argv[1], "list") == 0)
		print_list();
	else if (argc == 2 && strcmp(argv[1], "header") == 0)
		print_header();
	else
		return 2;
	return 0;
}
