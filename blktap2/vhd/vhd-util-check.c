/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util check: is the image what the format demands?
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>

#include "vhd/lib/check.h"
#include "vhd/vhd-util-headers.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_FLAG('i', "an invalid footer at the end is fine if its copy is good"),
	ROW_FLAG('I', "the unique id of the parent may differ"),
	ROW_FLAG('t', "the image may be from the future"),
	ROW_FLAG('p', "check the parents, too"),
	ROW_FLAG('b', "sectors that are marked absent must be zero"),
	ROW_FLAG('B', "do not look for blocks that overlap"),
	ROW_FLAG('s', "say how much is allocated and written"),
	ROW_LONG(OPTION_JSON, "json", "the result as JSON"),
	ROW_PROGRESS,
	ROW_END,
};

static double
percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void
print_statistics(const struct vhd_check_statistics *statistics)
{
	printf("allocated sectors: %" PRIu64 " of %" PRIu64 " (%.2f%%)\n",
	       statistics->allocated_sectors, statistics->virtual_sectors,
	       percent(statistics->allocated_sectors, statistics->virtual_sectors));
	printf("written sectors: %" PRIu64 " of %" PRIu64 " allocated (%.2f%%)\n",
	       statistics->written_sectors, statistics->allocated_sectors,
	       percent(statistics->written_sectors, statistics->allocated_sectors));
}

static void
dump(const char *name)
{
	struct vhd_view view;

	if (vhd_view_open(&view, name))
		return;
	vhd_util_print_headers(&view, false);
	vhd_view_close(&view);
}

static void
add_sectors(struct json_object *object, const struct vhd_check_statistics *statistics)
{
	json_object_object_add(object, "virtual_sectors",
			       json_object_new_uint64(statistics->virtual_sectors));
	json_object_object_add(object, "allocated_sectors",
			       json_object_new_uint64(statistics->allocated_sectors));
	json_object_object_add(object, "written_sectors",
			       json_object_new_uint64(statistics->written_sectors));
}

static int
print_json(const char *name, int err, const struct vhd_problem *problem,
	   const struct vhd_check_statistics *statistics)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return -ENOMEM;
	json_object_object_add(object, "name", json_object_new_string(name));
	json_object_object_add(object, "valid", json_object_new_boolean(!err));
	if (err && problem->id == VHD_PROBLEM_NONE)
		json_object_object_add(object, "error", json_object_new_int(err));
	if (problem->id != VHD_PROBLEM_NONE) {
		json_object_object_add(object, "area",
				       json_object_new_string(vhd_area_name(problem->area)));
		if (problem->area == VHD_AREA_BLOCK || problem->area == VHD_AREA_LOCATOR)
			json_object_object_add(object, "number",
					       json_object_new_int64(problem->number));
		json_object_object_add(object, "problem",
				       json_object_new_string(vhd_problem_name(problem->id)));
		json_object_object_add(object, "reason", json_object_new_string(problem->text));
		json_object_object_add(object, "remedy",
				       json_object_new_string(vhd_problem_remedy(problem->id)));
	}
	if (statistics)
		add_sectors(object, statistics);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return err;
}

static int
run(const struct options *given)
{
	const char *name = given->at['n'].text;
	struct vhd_check_statistics statistics;
	struct vhd_problem problem;
	struct progress progress;
	struct vhd_check_options options = {
		.accept_lost_footer = given->at['i'].given,
		.ignore_parent_uuid = given->at['I'].given,
		.ignore_time = given->at['t'].given,
		.check_parents = given->at['p'].given,
		.check_data = given->at['b'].given,
		.skip_overlap = given->at['B'].given,
		.count = given->at['s'].given,
		.step = progress_step,
		.step_arg = &progress,
	};
	int err;

	progress_begin(&progress, 0, false, given->at[OPTION_PROGRESS].given);
	err = vhd_check(name, &options, &problem, &statistics);
	progress_end(&progress, !err);
	if (given->at[OPTION_JSON].given)
		return print_json(name, err, &problem, options.count && !err ? &statistics : NULL);
	if (problem.id != VHD_PROBLEM_NONE) {
		printf("%s: ", name);
		vhd_util_put_name(stdout, problem.text);
		putchar('\n');
		dump(name);
		return err;
	}
	if (err)
		return vhd_util_failed_open(name, err);
	printf("%s is valid\n", name);
	if (options.count)
		print_statistics(&statistics);
	return 0;
}

const struct command cmd_check = {
	.name = "check",
	.help = "Say whether the image is what the format demands.",
	.rows = rows,
	.run = run,
};
