/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util query: facts about an image, one per line, in an order that programs rely on.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_FLAG('v', "size of the disk in MB"),
	ROW_FLAG('s', "size of the file in bytes; of a device, what is used of it"),
	ROW_FLAG('p', "parent"),
	ROW_FLAG('f', "whether it is hidden"),
	ROW_FLAG('m', "marker"),
	ROW_FLAG('d', "depth of the chain"),
	ROW_FLAG('a', "number of allocated blocks"),
	ROW_FLAG('S', "largest size in MB for resize -f"),
	ROW_FLAG('u', "parent as it is recorded, without looking for it"),
	ROW_FLAG('b', "go by the copy of the footer at the start"),
	ROW_LONG(OPTION_JSON, "json", "the result as JSON; all of it, if nothing is chosen"),
	ROW_END,
};

/* ---- facts ------------------------------------------------------------------------------------
 */

/* A number; or for the parent a text that is owned, NULL: none. */
struct fact {
	uint64_t number;
	char *text;
};

static int
get_size(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	(void)options;
	fact->number = vhd->priv->image.sectors << VHD_SECTOR_SHIFT;
	return 0;
}

static int
get_phys_size(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	off_t size = 0;
	int err = vhd_get_phys_size(vhd, &size);

	(void)options;
	fact->number = (uint64_t)size;
	return err;
}

static int
get_parent(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	if (vhd->footer.type != VHD_TYPE_DIFFERENCING)
		return 0;
	return options->at['u'].given ? vhd_parent_locator_unresolved_get(vhd, &fact->text)
				      : vhd_parent_locator_get(vhd, &fact->text);
}

static int
get_hidden(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	int hidden = 0, err = vhd_hidden(vhd, &hidden);

	(void)options;
	fact->number = (uint64_t)hidden;
	return err;
}

static int
get_marker(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	char marker = 0;
	int err = vhd_marker(vhd, &marker);

	(void)options;
	fact->number = (unsigned char)marker;
	return err;
}

static int
get_depth(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	int depth = 0, err = vhd_chain_depth(vhd, &depth);

	(void)options;
	fact->number = (uint64_t)depth;
	return err;
}

/* A fixed image has all the blocks that a dynamic one could have. */
static int
get_allocated(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	uint32_t i;
	int err;

	(void)options;
	if (!vhd_type_dynamic(vhd)) {
		fact->number = (vhd->footer.current_size + VHD_BLOCK_SIZE - 1) >> VHD_BLOCK_SHIFT;
		return 0;
	}
	err = vhd_get_bat(vhd);
	if (err)
		return err;
	for (i = 0; i < vhd->bat.entries; i++)
		fact->number += vhd->bat.bat[i] != VHD_BLOCK_UNUSED;
	return 0;
}

static int
get_max_size(vhd_context_t *vhd, const struct options *options, struct fact *fact)
{
	(void)options;
	return vhd_max_virt_size(vhd, &fact->number);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void
print_mb(const char *name, const struct fact *fact)
{
	(void)name;
	printf("%" PRIu64 "\n", fact->number >> 20);
}

static void
print_number(const char *name, const struct fact *fact)
{
	(void)name;
	printf("%" PRIu64 "\n", fact->number);
}

/* The image says it: it must not look like other lines. */
static void
print_parent(const char *name, const struct fact *fact)
{
	if (fact->text) {
		vhd_util_put_name(stdout, fact->text);
		putchar('\n');
	} else {
		printf("%s has no parent\n", name);
	}
}

static void
print_hidden(const char *name, const struct fact *fact)
{
	(void)name;
	printf("hidden: %" PRIu64 "\n", fact->number);
}

static void
print_marker(const char *name, const struct fact *fact)
{
	(void)name;
	printf("marker: %" PRIu64 "\n", fact->number);
}

static void
print_depth(const char *name, const struct fact *fact)
{
	(void)name;
	printf("chain depth: %" PRIu64 "\n", fact->number);
}

/* In the order of the lines. */
static const struct item {
	char letter;
	const char *key; /* in JSON */
	int (*get)(vhd_context_t *vhd, const struct options *options, struct fact *fact);
	void (*print)(const char *name, const struct fact *fact);
	const char *error; /* the line that stands in its place */
} items[] = {
	{ 'v', "virtual_size", get_size, print_mb, "no virtual size" },
	{ 's', "physical_size", get_phys_size, print_number, "no physical size" },
	{ 'p', "parent", get_parent, print_parent, "query failed" },
	{ 'f', "hidden", get_hidden, print_hidden, "error reading hidden flag" },
	{ 'm', "marker", get_marker, print_marker, "error reading marker" },
	{ 'd', "chain_depth", get_depth, print_depth, "error finding chain depth" },
	{ 'a', "allocated_blocks", get_allocated, print_number, "error reading allocated blocks" },
	{ 'S', "max_virtual_size", get_max_size, print_mb, "no maximal size" },
};

#define ITEMS (sizeof(items) / sizeof(items[0]))

/* Asking for the recorded parent asks for the parent. */
static bool
is_chosen(const struct item *item, const struct options *options)
{
	return options->at[(int)item->letter].given ||
	       (item->letter == 'p' && options->at['u'].given);
}

static int
print_items(struct image *image, const struct options *options)
{
	int first = 0;
	size_t i;

	for (i = 0; i < ITEMS; i++) {
		struct fact fact = { 0 };
		int err;

		if (!is_chosen(&items[i], options))
			continue;
		err = items[i].get(&image->vhd, options, &fact);
		if (err)
			puts(items[i].error);
		else
			items[i].print(image->name, &fact);
		free(fact.text);
		first = first ? first : err;
	}
	return first;
}

static int
add_item(struct json_object *object, struct json_object *errors, const struct item *item,
	 vhd_context_t *vhd, const struct options *options)
{
	struct fact fact = { 0 };
	int err = item->get(vhd, options, &fact);

	if (err)
		json_object_object_add(errors, item->key, json_object_new_int(err));
	else if (item->letter == 'p')
		json_object_object_add(object, item->key,
				       fact.text ? json_object_new_string(fact.text) : NULL);
	else
		json_object_object_add(object, item->key, json_object_new_uint64(fact.number));
	free(fact.text);
	return err;
}

static int
print_json(struct image *image, const struct options *options)
{
	struct json_object *object = json_object_new_object();
	struct json_object *errors = json_object_new_object();
	bool chosen = false;
	int first = 0;
	size_t i;

	for (i = 0; i < ITEMS; i++)
		chosen = chosen || is_chosen(&items[i], options);
	json_object_object_add(object, "name", json_object_new_string(image->name));
	for (i = 0; i < ITEMS; i++)
		if (!chosen || is_chosen(&items[i], options)) {
			int err = add_item(object, errors, &items[i], &image->vhd, options);

			first = first ? first : err;
		}
	if (json_object_object_length(errors))
		json_object_object_add(object, "errors", json_object_get(errors));
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(errors);
	json_object_put(object);
	return first;
}

static int
run(const struct options *options)
{
	int flags = VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED |
		    (options->at['b'].given ? VHD_OPEN_USE_BKP_FOOTER : 0);
	struct image image;
	int err = image_peek(&image, options->at['n'].text, flags);

	if (err)
		return err;
	err = options->at[OPTION_JSON].given ? print_json(&image, options)
					     : print_items(&image, options);
	return image_close(&image, err);
}

const struct command cmd_query = {
	.name = "query",
	.help = "Facts about an image, one line for each that is asked for.",
	.rows = rows,
	.run = run,
};
