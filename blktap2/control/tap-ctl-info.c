/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl's questions: stats, info, nbd-uri, check, major, and the jobs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "control/session.h"
#include "control/tap-ctl.h"

#define JSON_STYLE (JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

/* ---- stats ------------------------------------------------------------------------------------
 */

static int
run_stats(struct ctl *ctl, const struct args *args)
{
	AUTO_FREE char *json = NULL;
	int err;

	if (args->all == (args->minor >= 0))
		return reason(&ctl->why, -EINVAL, "either -m MINOR or -a");
	err = ctl_stats(ctl, (int)args->pid, (int)args->minor, &json);
	/* Readers of old take the first line and expect an empty one behind it. */
	if (!err)
		printf("%s\n\n", json);
	return err;
}

static const struct arg_row stats_rows[] = {
	ARG_PID,
	{ 'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, false },
	{ 'a', NULL, NULL, AT(all), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_stats = {
	.name = "stats",
	.help = "Print the statistics of a disk, or of all disks of a tapdisk, as JSON.",
	.run = run_stats,
	.rows = stats_rows,
};

/* ---- info -------------------------------------------------------------------------------------
 */

static void
add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)number));
}

static struct json_object *
capability_names(uint64_t bits)
{
	static const char *const names[] = { "flush", "discard", "write-zeroes", "block-status",
					     "resize" };
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits & 1ull << i)
			json_object_array_add(array, json_object_new_string(names[i]));
	return array;
}

static int
add_text(struct json_object *object, const char *key, const struct frame_attr *attr)
{
	AUTO_FREE char *text = NULL;
	int err = frame_get_text(attr, &text);

	if (err)
		return err;
	if (key)
		json_object_object_add(object, key, json_object_new_string(text));
	else
		json_object_array_add(object, json_object_new_string(text));
	return 0;
}

/* One attribute of the answer; unknown ones are newer than this program. */
static int
add_attr(struct json_object *object, struct json_object *chain, const struct frame_attr *attr)
{
	uint64_t wide = 0;
	uint32_t number = 0;
	int err = 0;

	switch (attr->tag) {
	case TAPDISK_ATTR_CHAIN_ITEM:
		return add_text(chain, NULL, attr);
	case TAPDISK_ATTR_NBD_PATH:
		return add_text(object, "nbd", attr);
	case TAPDISK_ATTR_SECTORS:
		err = frame_get_u64(attr, &wide);
		add_number(object, "sectors", wide);
		break;
	case TAPDISK_ATTR_SECTOR_SIZE:
		err = frame_get_u32(attr, &number);
		add_number(object, "sector_size", number);
		break;
	case TAPDISK_ATTR_INFO:
		err = frame_get_u32(attr, &number);
		json_object_object_add(object, "read_only", json_object_new_boolean(number & 4));
		break;
	case TAPDISK_ATTR_CAPABILITIES:
		err = frame_get_u64(attr, &wide);
		json_object_object_add(object, "capabilities", capability_names(wide));
		break;
	case TAPDISK_ATTR_STATE:
		err = frame_get_u32(attr, &number);
		add_number(object, "state", number);
		break;
	case TAPDISK_ATTR_PARAMS:
		return add_text(object, "params", attr);
	default:
		break;
	}
	return err ? -EPROTO : 0;
}

static const char *
ring_state_name(uint32_t state)
{
	switch (state) {
	case TAPDISK_RING_CONNECTED:
		return "connected";
	case TAPDISK_RING_DYING:
		return "dying";
	case TAPDISK_RING_FAILED:
		return "failed";
	default:
		return "unknown";
	}
}

static struct json_object *
describe_ring(const struct session_reply *reply)
{
	struct frame_reader reader = { .at = reply->payload, .left = reply->frame.length };
	struct json_object *ring = json_object_new_object();
	uint32_t number = 0, queues = 0;
	struct frame_attr attr;

	while (frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_QUEUE)
			queues++;
		if (attr.length != sizeof(number) || frame_get_u32(&attr, &number))
			continue;
		if (attr.tag == TAPDISK_ATTR_DOMID)
			add_number(ring, "domid", number);
		else if (attr.tag == TAPDISK_ATTR_DEVID)
			add_number(ring, "devid", number);
		else if (attr.tag == TAPDISK_ATTR_RING_STATE)
			json_object_object_add(ring, "state",
					       json_object_new_string(ring_state_name(number)));
	}
	add_number(ring, "queues", queues);
	return ring;
}

/* The guests' rings; a tapdisk that can have none has none. */
static int
describe_rings(struct session *session, int minor, struct json_object *rings)
{
	struct deadline deadline = deadline_in(session->ctl, IPC_QUERY_MS);
	struct session_reply reply = { .payload = NULL };
	struct frame_writer writer;
	bool more = true;
	int err;

	session_begin(session, &writer, TAPDISK_FRAME_RING_LIST, minor);
	err = session_send(session, &writer, &deadline);
	while (!err && more) {
		err = session_receive(session, &reply, &deadline);
		if (err)
			break;
		more = reply.frame.flags & TAPDISK_FRAME_MORE;
		if (more)
			json_object_array_add(rings, describe_ring(&reply));
		session_reply_free(&reply);
	}
	return err;
}

int
disk_describe(struct ctl *ctl, int id, int minor, struct json_object *object)
{
	struct json_object *chain = json_object_new_array();
	struct json_object *rings = json_object_new_array();
	struct session_reply reply = { .payload = NULL };
	struct frame_reader reader;
	struct frame_writer writer;
	struct frame_attr attr;
	struct session session = { .fd = -1 };
	int err = session_open(ctl, id, &session);

	if (err)
		goto out;
	session_begin(&session, &writer, TAPDISK_FRAME_INFO, minor);
	err = session_call(&session, &writer, IPC_QUERY_MS, &reply);
	if (err)
		goto out;
	reader = (struct frame_reader){ .at = reply.payload, .left = reply.frame.length };
	while (!err && frame_next(&reader, &attr) == 1)
		err = add_attr(object, chain, &attr);
	if (!err)
		err = describe_rings(&session, minor, rings);
	json_object_object_add(object, "chain", json_object_get(chain));
	json_object_object_add(object, "secondary", NULL);
	json_object_object_add(object, "rings", json_object_get(rings));
out:
	session_close(&session);
	session_reply_free(&reply);
	json_object_put(chain);
	json_object_put(rings);
	return err;
}

static void
print_field(struct json_object *object, const char *key, const char *label)
{
	struct json_object *value;

	if (json_object_object_get_ex(object, key, &value))
		printf("%-14s %s\n", label, json_object_get_string(value));
}

static int
run_info(struct ctl *ctl, const struct args *args)
{
	struct json_object *object = json_object_new_object();
	int err;

	add_number(object, "pid", (uint64_t)args->pid);
	add_number(object, "minor", (uint64_t)args->minor);
	err = disk_describe(ctl, (int)args->pid, (int)args->minor, object);
	if (!err && args->json) {
		puts(json_object_to_json_string_ext(object, JSON_STYLE));
	} else if (!err) {
		print_field(object, "params", "image");
		print_field(object, "state", "state");
		print_field(object, "sectors", "sectors");
		print_field(object, "sector_size", "sector size");
		print_field(object, "read_only", "read-only");
		print_field(object, "capabilities", "capabilities");
		print_field(object, "chain", "chain");
		print_field(object, "nbd", "nbd socket");
	}
	json_object_put(object);
	return err;
}

static const struct arg_row info_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 0, "json", NULL, AT(json), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_info = {
	.name = "info",
	.help = "Print size, sector size, abilities and endpoints of a disk.",
	.run = run_info,
	.rows = info_rows,
};

/* ---- nbd-uri ----------------------------------------------------------------------------------
 */

static int
run_nbd_uri(struct ctl *ctl, const struct args *args)
{
	tapdisk_message_image_t image;
	int err = ctl_info(ctl, (int)args->pid, (int)args->minor, &image);

	if (!err)
		printf("nbd+unix:///?socket=%s/nbd%ld.%ld\n", ctl->dir, args->pid, args->minor);
	return err;
}

static const struct arg_row disk_rows[] = { ARG_PID, ARG_MINOR, ARG_END };

const struct command cmd_nbd_uri = {
	.name = "nbd-uri",
	.help = "Print where a disk is exported.",
	.run = run_nbd_uri,
	.rows = disk_rows,
};

/* ---- the kernel -------------------------------------------------------------------------------
 */

static int
run_check(struct ctl *ctl, const struct args *args)
{
	const char *message;
	int err = tap_ctl_check(&message);

	(void)args;
	if (err)
		return reason(&ctl->why, err, "%s", message);
	puts(message);
	return 0;
}

static const struct arg_row no_rows[] = { ARG_END };

const struct command cmd_check = {
	.name = "check",
	.help = "Say whether disks can be kernel block devices.",
	.run = run_check,
	.rows = no_rows,
};

static int
run_major(struct ctl *ctl, const struct args *args)
{
	int major = tap_ctl_blk_major();

	if (args->char_major)
		return reason(&ctl->why, -EINVAL, "only the block major is known");
	if (major < 0)
		return reason(&ctl->why, major, "no blktap2 kernel driver is loaded");
	printf("%d\n", major);
	return 0;
}

static const struct arg_row major_rows[] = {
	{ 'b', NULL, NULL, AT(block_major), ARG_FLAG, 0, false },
	{ 'c', NULL, NULL, AT(char_major), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_major = {
	.name = "major",
	.help = "Print the block major of the kernel driver.",
	.run = run_major,
	.rows = major_rows,
};

/* ---- jobs -------------------------------------------------------------------------------------
 */

static int
run_commit(struct ctl *ctl, const struct args *args)
{
	return ctl_commit(ctl, (int)args->pid, (int)args->minor, args->params);
}

static const struct arg_row commit_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 'a', NULL, "PATH", AT(params), ARG_TEXT, 0, true },
	ARG_END,
};

const struct command cmd_commit = {
	.name = "commit",
	.help = "Merge an image of the chain into its parent.",
	.run = run_commit,
	.rows = commit_rows,
};

static int
run_query(struct ctl *ctl, const struct args *args)
{
	struct tap_ctl_job job = { .size = sizeof(job) };
	int err = ctl_query_commit(ctl, (int)args->pid, (int)args->minor, &job);

	if (!err)
		printf("Commit status '%s' (%llu/%llu)\n", job.status,
		       (unsigned long long)job.current, (unsigned long long)job.total);
	return err;
}

const struct command cmd_query = {
	.name = "query",
	.help = "Print how a commit is getting on.",
	.run = run_query,
	.rows = disk_rows,
};

static int
run_cancel(struct ctl *ctl, const struct args *args)
{
	return ctl_cancel_commit(ctl, (int)args->pid, (int)args->minor, args->wait);
}

static const struct arg_row cancel_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 'w', NULL, NULL, AT(wait), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_cancel = {
	.name = "cancel",
	.help = "Stop a commit.",
	.run = run_cancel,
	.rows = cancel_rows,
};
