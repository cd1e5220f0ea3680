/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a scan is shown: lines, a tree of them, or JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd-util-scan.h"
#include "vhd/vhd-util.h"

#define INDENT 3 /* blanks for each level of a tree */

static const char *
shown_name(const struct scan *scan, const char *path)
{
	const char *slash = strrchr(path, '/');

	return scan->full_names || !slash ? path : slash + 1;
}

void
scan_print_line(const struct scan *scan, const struct scanned *image, unsigned level,
		const char *suffix)
{
	printf("%*svhd=", (int)level * INDENT, "");
	if (image->err) {
		vhd_util_put_name(stdout, image->path);
		printf(" scan-error=%d error-message='", image->err);
		vhd_util_put_name(stdout, image->message);
		puts("'");
		return;
	}
	vhd_util_put_name(stdout, shown_name(scan, image->path));
	printf(" capacity=%" PRIu64 " size=%" PRIu64 " hidden=%u", image->capacity, image->size,
	       image->hidden);
	if (scan->markers) {
		printf(" marker=%u keyhash=", image->marker);
		if (image->keyhash.cookie == 1)
			vhd_util_put_hex(stdout, image->keyhash.hash, sizeof(image->keyhash.hash));
	}
	fputs(" parent=", stdout);
	vhd_util_put_name(stdout, image->parent ? shown_name(scan, image->parent) : "none");
	puts(suffix);
}

/* ---- the tree ---------------------------------------------------------------------------------
 */

/* An image among its siblings: by parent, then what is not hidden first, then by name. */
struct node {
	const struct scanned *image;
	const char *parent; /* "" at the top */
	bool shown;
};

static int
compare_nodes(const void *a, const void *b)
{
	const struct node *left = a, *right = b;
	int order = strcmp(left->parent, right->parent);

	if (order == 0)
		order = (left->image->hidden != 0) - (right->image->hidden != 0);
	return order ? order : strcmp(left->image->path, right->image->path);
}

static int
compare_parent(const void *key, const void *member)
{
	return strcmp(key, ((const struct node *)member)->parent);
}

struct tree {
	const struct scan *scan;
	struct node *nodes; /* sorted by compare_nodes() */
	size_t count;
};

/* The first of the children of parent, or NULL. */
static struct node *
children(const struct tree *tree, const char *parent)
{
	struct node *node =
		bsearch(parent, tree->nodes, tree->count, sizeof(*node), compare_parent);

	while (node && node > tree->nodes && strcmp(node[-1].parent, parent) == 0)
		node--;
	return node;
}

struct place {
	struct node *next; /* to be shown at this level */
};

/* The images below parent, in a stack of our own: chains from outside may be long. */
static int
show_below(const struct tree *tree, const char *parent)
{
	struct place *stack = calloc(tree->count + 1, sizeof(*stack));
	const struct node *end = tree->nodes + tree->count;
	size_t level = 0;

	if (!stack)
		return -ENOMEM;
	stack[0].next = children(tree, parent);
	for (;;) {
		struct node *node = stack[level].next;

		if (!node || node->shown) {
			if (level-- == 0)
				break;
			continue;
		}
		node->shown = true;
		stack[level].next = node + 1 < end && strcmp(node[1].parent, node->parent) == 0
					    ? node + 1
					    : NULL;
		scan_print_line(tree->scan, node->image, (unsigned)level,
				*node->parent || !node->image->parent ? ""
								      : " (not found in scan)");
		stack[++level].next = children(tree, node->image->path);
	}
	free(stack);
	return 0;
}

static bool
was_found(const struct scan *scan, char **paths, const char *path)
{
	size_t low = 0, high = scan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, paths[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
make_tree(struct tree *tree)
{
	const struct scan *scan = tree->scan;
	char **paths = calloc(scan->count + 1, sizeof(*paths));
	size_t i;

	tree->nodes = calloc(scan->count + 1, sizeof(*tree->nodes));
	if (!paths || !tree->nodes) {
		free(paths);
		return -ENOMEM;
	}
	for (i = 0; i < scan->count; i++)
		paths[i] = scan->found[i]->path;
	qsort(paths, scan->count, sizeof(*paths), compare_texts);
	for (i = 0; i < scan->count; i++) {
		const struct scanned *image = scan->found[i];
		bool below = image->parent && was_found(scan, paths, image->parent);

		tree->nodes[i] = (struct node){ image, below ? image->parent : "", false };
	}
	tree->count = scan->count;
	qsort(tree->nodes, tree->count, sizeof(*tree->nodes), compare_nodes);
	free(paths);
	return 0;
}

int
scan_print_tree(const struct scan *scan)
{
	struct tree tree = { .scan = scan };
	size_t i;
	int err = make_tree(&tree);

	if (!err)
		err = show_below(&tree, "");
	/* Images in a circle have no top. */
	for (i = 0; !err && i < tree.count; i++)
		if (!tree.nodes[i].shown)
			err = show_below(&tree, tree.nodes[i].parent);
	free(tree.nodes);
	return err;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void
add_hash(struct json_object *object, const struct vhd_keyhash *keyhash)
{
	char text[2 * sizeof(keyhash->hash) + 1];
	size_t i;

	for (i = 0; i < sizeof(keyhash->hash); i++)
		snprintf(text + 2 * i, 3, "%02x", keyhash->hash[i]);
	json_object_object_add(object, "keyhash",
			       keyhash->cookie == 1 ? json_object_new_string(text) : NULL);
}

static struct json_object *
describe(const struct scan *scan, const struct scanned *image)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "path", json_object_new_string(image->path));
	if (image->err) {
		json_object_object_add(object, "error", json_object_new_int(image->err));
		json_object_object_add(object, "message", json_object_new_string(image->message));
		return object;
	}
	json_object_object_add(object, "capacity", json_object_new_uint64(image->capacity));
	json_object_object_add(object, "size", json_object_new_uint64(image->size));
	json_object_object_add(object, "hidden", json_object_new_int64(image->hidden));
	json_object_object_add(
		object, "parent",
		image->parent ? json_object_new_string(shown_name(scan, image->parent)) : NULL);
	if (scan->markers) {
		json_object_object_add(object, "marker", json_object_new_int64(image->marker));
		add_hash(object, &image->keyhash);
	}
	return object;
}

int
scan_print_json(const struct scan *scan)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	if (!list)
		return -ENOMEM;
	for (i = 0; i < scan->count; i++)
		json_object_array_add(list, describe(scan, scan->found[i]));
	puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(list);
	return 0;
}
