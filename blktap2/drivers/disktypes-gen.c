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

#include "drivers/disktypes.h"

#define DTYPES ((int)(sizeof(dtypes) / sizeof(dtypes[0])))
#define HANDLE_MAX 9 /* characters */

static int
fault(int at, int step, const char *what)
{
	fprintf(stderr, "disktypes.h: dtypes[%d] (\"%s\"): %s (step %d of the guide)\n", at,
		dtypes[at]->handle, what, step);
	return 1;
}

static int
is_handle(const char *handle)
{
	size_t length = strspn(handle, "abcdefghijklmnopqrstuvwxyz0123456789");

	return length >= 1 && length <= HANDLE_MAX && !handle[length];
}

/* The number of faults. */
static int
check_entry(int at)
{
	const disk_info_t *entry = dtypes[at];
	int faults = 0, other;

	if (entry == &null_disk)
		return 0;
	if (entry->idnum < 0 || entry->idnum >= MAX_DISK_TYPES)
		faults += fault(at, 2, "its number is out of range");
	else if (entry->idnum != at)
		faults += fault(at, 4, "its number is not its position in the table");
	if (!entry->name[0])
		faults += fault(at, 3, "it has no name for people");
	/* An array that is full to the brim has lost its end. */
	if (!memchr(entry->handle, '\0', sizeof(entry->handle)) || !is_handle(entry->handle))
		faults += fault(at, 3, "its handle is not 1 to 9 of a-z and 0-9");
	for (other = 0; other < at; other++) {
		if (dtypes[other] == &null_disk)
			continue;
		if (strcmp(dtypes[other]->handle, entry->handle) == 0)
			faults += fault(at, 3, "its handle is taken");
		if (dtypes[other]->idnum == entry->idnum)
			faults += fault(at, 2, "its number is taken");
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
	int faults = 0, i;

	for (i = 0; i < DTYPES; i++)
		faults += check_entry(i);
	if (faults)
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
