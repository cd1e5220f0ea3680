/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers of vgs(8) and lvs(8), taken apart.
 *
 * Both print lines of words between blanks: vgs one for each physical volume of the group, lvs one
 * for each segment of each logical volume.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/number.h"
#include "lvm/lvm-parse.h"

#define WORDS_MAX 8
#define VGS_WORDS 6       /* vg_name vg_extent_size lv_count pv_count pv_name pe_start */
#define LVS_WORDS 7       /* lv_name lv_size segtype seg_count seg_start seg_size devices */
#define COUNT_MAX 1000000 /* volumes of a group */

/* ---- words ------------------------------------------------------------------------------------
 */

bool
lvm_is_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+_.-";

	return *name && *name != '-' && name[strspn(name, allowed)] == '\0' &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The next line of *text, which is cut there; NULL: no more. */
static char *
next_line(char **text)
{
	char *line = *text;
	char *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*text = end ? end + 1 : NULL;
	return line;
}

/* Cut line into words.  Returns how many there are, WORDS_MAX + 1 for more than fit. */
static int
split(char *line, char *words[WORDS_MAX])
{
	static const char blanks[] = " \t";
	int count = 0;

	for (line += strspn(line, blanks); *line; line += strspn(line, blanks)) {
		if (count == WORDS_MAX)
			return WORDS_MAX + 1;
		words[count++] = line;
		line += strcspn(line, blanks);
		if (*line)
			*line++ = '\0';
	}
	return count;
}

static int
whole_number(const char *text, uint64_t *value)
{
	return number_parse(text, UINT64_MAX, value) ? 0 : -EINVAL;
}

static int
nonsense(struct reason *why, const char *program, const char *what)
{
	return reason(why, -EINVAL, "%s: an answer that makes no sense: %s", program, what);
}

/* ---- vgs --------------------------------------------------------------------------------------
 */

/* One more zeroed element at the end of *array; *count is of elements of size bytes. */
static void *
append(void *array, int *count, size_t size)
{
	char **at = array;
	char *bigger;

	if (*count == COUNT_MAX)
		return NULL;
	/* Room doubles at the powers of two. */
	if (!(*count & (*count - 1))) {
		bigger = reallocarray(*at, *count ? (size_t)*count * 2 : 1, size);
		if (!bigger)
			return NULL;
		*at = bigger;
	}
	return memset(*at + (size_t)(*count)++ * size, 0, size);
}

static int
add_pv(struct vg *vg, char *words[], struct reason *why)
{
	uint64_t extent_size, lvs, pvs, start;
	struct pv *pv;

	if (strcmp(words[0], vg->name) != 0)
		return nonsense(why, "vgs", "another group");
	if (whole_number(words[1], &extent_size) || whole_number(words[2], &lvs) ||
	    whole_number(words[3], &pvs) || whole_number(words[5], &start))
		return nonsense(why, "vgs", "no number where one belongs");
	if (!extent_size || words[4][0] != '/')
		return nonsense(why, "vgs", "no extents, or no device");
	vg->extent_size = extent_size;
	pv = append(&vg->pvs, &vg->pv_cnt, sizeof(*pv));
	if (!pv)
		return -ENOMEM;
	pv->name = strdup(words[4]);
	pv->start = start;
	return pv->name ? 0 : -ENOMEM;
}

int
lvm_parse_pvs(struct vg *vg, char *text, struct reason *why)
{
	char *words[WORDS_MAX], *line;
	int count, err = 0;

	while (!err && (line = next_line(&text))) {
		count = split(line, words);
		if (count == VGS_WORDS)
			err = add_pv(vg, words, why);
		else if (count)
			err = nonsense(why, "vgs", "a line of other words");
	}
	if (!err && !vg->pv_cnt)
		err = nonsense(why, "vgs", "no physical volume");
	return err;
}

/* ---- lvs --------------------------------------------------------------------------------------
 */

/* "/dev/sdb(100)": the device, and the extent where the segment begins. */
static int
parse_device(const char *text, struct lv_segment *segment)
{
	const char *paren = strrchr(text, '(');
	const char *end;

	if (!paren || paren == text || strchr(text, ',') ||
	    !number_take(paren + 1, UINT64_MAX, &end, &segment->pe_start) || strcmp(end, ")") != 0)
		return -EINVAL;
	segment->device = strndup(text, (size_t)(paren - text));
	return segment->device ? 0 : -ENOMEM;
}

/* Where the volume begins.  Only of linear segments more is known than that they are there. */
static int
set_first(const struct vg *vg, struct lv *lv, char *words[], int count, uint64_t bytes)
{
	struct lv_segment *segment = &lv->first_segment;
	int err = -EINVAL;

	free(segment->device);
	*segment = (struct lv_segment){ 0 };
	if (count == LVS_WORDS && strcmp(words[2], "linear") == 0) {
		segment->pe_size = bytes / vg->extent_size;
		err = parse_device(words[6], segment);
	}
	if (!err) {
		segment->type = LVM_SEG_TYPE_LINEAR;
		return 0;
	}
	if (err == -ENOMEM)
		return err;
	*segment = (struct lv_segment){ .device = strdup("unknown") };
	return segment->device ? 0 : -ENOMEM;
}

/* The volume of that name: its lines follow each other. */
static struct lv *
find_or_add(struct vg *vg, const char *name, bool *is_new)
{
	struct lv *lv = vg->lv_cnt ? &vg->lvs[vg->lv_cnt - 1] : NULL;

	*is_new = !lv || strcmp(lv->name, name) != 0;
	if (!*is_new)
		return lv;
	lv = append(&vg->lvs, &vg->lv_cnt, sizeof(*lv));
	if (!lv)
		return NULL;
	lv->name = strdup(name);
	return lv->name ? lv : NULL;
}

/* The last word, the devices, is missing where a segment has none. */
static int
add_segment(struct vg *vg, char *words[], int count, struct reason *why)
{
	uint64_t size, segments, start, bytes;
	struct lv *lv;
	bool is_new;

	if (!lvm_is_name(words[0]))
		return nonsense(why, "lvs", "a name with characters that LVM does not allow");
	if (whole_number(words[1], &size) || whole_number(words[3], &segments) ||
	    whole_number(words[4], &start) || whole_number(words[5], &bytes))
		return nonsense(why, "lvs", "no number where one belongs");
	lv = find_or_add(vg, words[0], &is_new);
	if (!lv)
		return -ENOMEM;
	lv->size = size;
	lv->segments = segments;
	if (is_new || start == 0)
		return set_first(vg, lv, words, start == 0 ? count : 0, bytes);
	return 0;
}

int
lvm_parse_lvs(struct vg *vg, char *text, struct reason *why)
{
	char *words[WORDS_MAX], *line;
	int count, err = 0;

	while (!err && (line = next_line(&text))) {
		count = split(line, words);
		if (count == LVS_WORDS || count == LVS_WORDS - 1)
			err = add_segment(vg, words, count, why);
		else if (count)
			err = nonsense(why, "lvs", "a line of other words");
	}
	return err;
}
