/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util scan: one line for each image, for programs that manage many of them.
 */
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "vhd/vhd-util-scan.h"
#include "vhd/vhd-util.h"

#define MAX_BRACES 8 /* pairs in a pattern for volumes */

static const struct option_row rows[] = {
	ROW_TEXT('m', "GLOB", "images whose path (with -l: name) matches; {a,b} is understood",
		 false),
	ROW_FLAG('f', "fast: trust the copy of the footer at the start"),
	ROW_FLAG('c', "exit with 0 even if images are damaged"),
	ROW_TEXT('l', "VG", "logical volumes of this group, which need not be active", false),
	ROW_FLAG('p', "show a tree"),
	ROW_FLAG('a', "also the parents of what matches"),
	ROW_FLAG('v', "full paths instead of names"),
	ROW_FLAG('M', "add marker and key hash"),
	ROW_LONG(OPTION_JSON, "json", "the result as JSON"),
	ROW_END,
};

/* ---- what was found ---------------------------------------------------------------------------
 */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct scanned *)a)->path, ((const struct scanned *)b)->path);
}

static bool
is_known(const struct scan *scan, char *path)
{
	struct scanned key = { .path = path };

	return tfind(&key, &scan->by_path, compare_paths) != NULL;
}

/* Takes scanned. */
static int
add(struct scan *scan, struct scanned *scanned)
{
	struct scanned **node;

	if (scan->count == scan->room) {
		size_t room = scan->room ? 2 * scan->room : 64;
		struct scanned **larger = reallocarray(scan->found, room, sizeof(*larger));

		if (!larger)
			goto no_memory;
		scan->found = larger;
		scan->room = room;
	}
	node = tsearch(scanned, &scan->by_path, compare_paths);
	if (!node)
		goto no_memory;
	if (*node != scanned) { /* the same image by another name */
		scanned_free(scanned);
		return 0;
	}
	scan->found[scan->count++] = scanned;
	if (!scan->err)
		scan->err = scanned->err;
	if (!scan->tree && !scan->json)
		scan_print_line(scan, scanned, 0, "");
	return 0;
no_memory:
	scanned_free(scanned);
	return -ENOMEM;
}

static int
look_at(struct scan *scan, const char *path, bool may_vanish)
{
	struct scanned *scanned;
	int err = scan_image(scan, path, may_vanish, &scanned);

	if (err || !scanned)
		return err;
	return vhd_util_interrupted() ? scanned_free(scanned), -EINTR : add(scan, scanned);
}

static void
keep(void *node)
{
	(void)node; /* the list owns it */
}

static void
forget(struct scan *scan)
{
	size_t i;

	tdestroy(scan->by_path, keep);
	for (i = 0; i < scan->count; i++)
		scanned_free(scan->found[i]);
	free(scan->found);
	lvm_free_vg(&scan->vg);
}

/* ---- files ------------------------------------------------------------------------------------
 */

static int
scan_pattern(struct scan *scan, const char *pattern)
{
	glob_t matches;
	size_t i;
	int err;

	err = glob(pattern, GLOB_BRACE, NULL, &matches);
	if (err == GLOB_NOMATCH)
		return 0;
	if (err)
		return err == GLOB_NOSPACE ? -ENOMEM : -EIO;
	for (i = 0; i < matches.gl_pathc && !err; i++)
		err = look_at(scan, matches.gl_pathv[i], true);
	globfree(&matches);
	return err;
}

/* ---- volumes ----------------------------------------------------------------------------------
 */

/* fnmatch(3), and one of the alternatives where the pattern has braces. */
static bool
matches(const char *pattern, const char *name, unsigned depth)
{
	const char *open = strchr(pattern, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	const char *from, *to;

	if (!close || depth == MAX_BRACES)
		return fnmatch(pattern, name, 0) == 0;
	for (from = open + 1; from <= close; from = to + 1) {
		AUTO_FREE char *one = NULL;

		to = from + strcspn(from, ",}");
		if (asprintf(&one, "%.*s%.*s%s", (int)(open - pattern), pattern, (int)(to - from),
			     from, close + 1) < 0)
			return false;
		if (matches(one, name, depth + 1))
			return true;
	}
	return false;
}

static int
scan_volume(struct scan *scan, const char *name, bool may_vanish)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "/dev/%s/%s", scan->group, name) < 0)
		return -ENOMEM;
	return look_at(scan, path, may_vanish);
}

static int
scan_volumes(struct scan *scan, const char *pattern)
{
	int i, err = 0;

	for (i = 0; i < scan->vg.lv_cnt && !err; i++)
		if (matches(pattern, scan->vg.lvs[i].name, 0))
			err = scan_volume(scan, scan->vg.lvs[i].name, true);
	return err;
}

/* ---- both -------------------------------------------------------------------------------------
 */

/* The list grows while its end is looked for. */
static int
scan_parents(struct scan *scan)
{
	size_t i;
	int err = 0;

	for (i = 0; i < scan->count && !err; i++) {
		char *parent = scan->found[i]->parent;

		if (parent && !is_known(scan, parent))
			err = look_at(scan, parent, true);
	}
	return err;
}

static int
gather(struct scan *scan, const struct options *options)
{
	const struct option_value *pattern = &options->at['m'];
	struct reason why;
	int i, err = 0;

	if (scan->group) {
		err = lvm_scan_vg(scan->group, &scan->vg, &why);
		if (err)
			fprintf(stderr, "vhd-util: %s\n", why.text);
	}
	if (!err && pattern->given)
		err = scan->group ? scan_volumes(scan, pattern->text)
				  : scan_pattern(scan, pattern->text);
	for (i = 0; i < options->operand_count && !err; i++)
		err = scan->group ? scan_volume(scan, options->operands[i], false)
				  : look_at(scan, options->operands[i], false);
	if (!err && scan->parents)
		err = scan_parents(scan);
	return err;
}

static int
run(const struct options *options)
{
	struct scan scan = {
		.fast = options->at['f'].given && !options->at['p'].given,
		.full_names = options->at['v'].given,
		.parents = options->at['a'].given,
		.tree = options->at['p'].given,
		.markers = options->at['M'].given,
		.json = options->at[OPTION_JSON].given,
		.group = options->at['l'].text,
	};
	int err;

	if (!options->at['m'].given && !options->operand_count)
		return options_wrong(&cmd_scan);
	err = gather(&scan, options);
	if (!err && scan.json)
		err = scan_print_json(&scan);
	else if (!err && scan.tree)
		err = scan_print_tree(&scan);
	if (!err)
		err = scan.err;
	forget(&scan);
	return options->at['c'].given && err != -EINTR ? 0 : err;
}

const struct command cmd_scan = {
	.name = "scan",
	.help = "One line for each image: name, sizes, whether it is hidden, parent.",
	.rows = rows,
	.operands = "[FILES...]",
	.run = run,
};
