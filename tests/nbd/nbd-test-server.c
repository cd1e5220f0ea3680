/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NBD server on a disk in memory, driven line by line from stdin: what a scripted client cannot
 * bring about, it asks for here.  Every command is answered with one line; the first line printed
 * is the pid, for the names of the endpoints.
 *
 *   nbd-test-server DIR SIZE [sector=N] [read-only] [no-discard] [slow-zero]
 *
 * POOL in the environment: bytes of data buffers; TAPDISK_AIO: the I/O engine.  Commands:
 *
 *   fill BYTE | hold 0|1 | shuffle SEED | finish N | expire | delay MS | fail ERRNO [OP]
 *   pause | resume | shutdown | close | held | stats | take NAME
 */
#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/frontend/nbd.h"
#include "tests/nbd/fake-vbd.h"

#define LINE_MAX_BYTES 512
#define POOL_BYTES (512u * 1024 * 1024)

struct test_server {
	struct tapdisk_server server;
	struct vbd *vbd;
	struct nbdclient *client;
	struct loop_watch *input;
	char line[LINE_MAX_BYTES];
	size_t used;
};

static void
print_stats(struct vbd *vbd)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "reads", json_object_new_int((int)vbd->count[TD_OP_READ]));
	json_object_object_add(object, "writes", json_object_new_int((int)vbd->count[TD_OP_WRITE]));
	json_object_object_add(object, "flushes",
			       json_object_new_int((int)vbd->count[TD_OP_FLUSH]));
	json_object_object_add(object, "discards",
			       json_object_new_int((int)vbd->count[TD_OP_DISCARD]));
	json_object_object_add(object, "zeroes",
			       json_object_new_int((int)vbd->count[TD_OP_WRITE_ZEROES]));
	json_object_object_add(object, "fua", json_object_new_int((int)vbd->fua));
	json_object_object_add(object, "no_unmap", json_object_new_int((int)vbd->no_unmap));
	json_object_object_add(object, "overlaps", json_object_new_int((int)vbd->overlaps));
	json_object_object_add(object, "largest", json_object_new_int64((int64_t)vbd->largest));
	if (vbd->source)
		vbd->source->ops->stats(vbd->source, object);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED));
	json_object_put(object);
}

static void
take(struct test_server *test, const char *name)
{
	int fd = nbdclient_take(test->client, name);

	if (fd < 0) {
		printf("none\n");
		return;
	}
	printf("%s\n", fcntl(fd, F_GETFD) & FD_CLOEXEC ? "taken" : "leaks over exec");
	close(fd);
}

/* Commands that are a setting of the disk. */
static bool
set(struct vbd *vbd, const char *command, const char *value)
{
	unsigned number = (unsigned)strtoul(value, NULL, 0);
	char *end;

	if (strcmp(command, "fill") == 0) {
		memset(vbd->data, (int)number, vbd->sectors * 512);
	} else if (strcmp(command, "hold") == 0) {
		vbd->hold = number;
	} else if (strcmp(command, "shuffle") == 0) {
		vbd->shuffle = true;
		vbd->seed = number;
	} else if (strcmp(command, "delay") == 0) {
		vbd->delay_ms = number;
	} else if (strcmp(command, "fail") == 0) {
		vbd->fail = -(int)strtoul(value, &end, 0);
		vbd->fail_op = *end ? (int)strtoul(end, NULL, 0) : -1;
	} else {
		return false;
	}
	return true;
}

static void
run_command(struct test_server *test, char *line)
{
	char *value = strchr(line, ' ');

	if (value)
		*value++ = '\0';
	else
		value = line + strlen(line);
	if (strcmp(line, "stats") == 0) {
		print_stats(test->vbd);
		return;
	}
	if (strcmp(line, "held") == 0) {
		printf("%u\n", test->vbd->in_flight);
		return;
	}
	if (strcmp(line, "take") == 0) {
		take(test, value);
		return;
	}
	if (strcmp(line, "finish") == 0)
		fake_vbd_finish(test->vbd, (unsigned)strtoul(value, NULL, 0));
	else if (strcmp(line, "expire") == 0)
		fake_vbd_expire(test->vbd);
	else if (strcmp(line, "pause") == 0)
		fake_vbd_pause(test->vbd, true);
	else if (strcmp(line, "resume") == 0)
		fake_vbd_pause(test->vbd, false);
	else if (strcmp(line, "shutdown") == 0)
		test->vbd->source->ops->shutdown(test->vbd->source);
	else if (strcmp(line, "close") == 0)
		fake_vbd_close(test->vbd);
	else if (!set(test->vbd, line, value)) {
		printf("unknown\n");
		return;
	}
	printf("ok\n");
}

static void
on_input(void *arg, unsigned events)
{
	struct test_server *test = arg;
	ssize_t size = read(0, test->line + test->used, sizeof(test->line) - test->used - 1);
	char *end;

	(void)events;
	if (size <= 0) {
		loop_stop(test->server.loop);
		return;
	}
	test->used += (size_t)size;
	test->line[test->used] = '\0';
	while ((end = strchr(test->line, '\n'))) {
		*end++ = '\0';
		run_command(test, test->line);
		fflush(stdout);
		test->used -= (size_t)(end - test->line);
		memmove(test->line, end, test->used + 1);
	}
}

static bool
take_argument(struct vbd *vbd, const char *argument)
{
	if (strncmp(argument, "sector=", 7) == 0)
		vbd->sector_size = (uint32_t)strtoul(argument + 7, NULL, 0);
	else if (strcmp(argument, "read-only") == 0)
		vbd->read_only = true;
	else if (strcmp(argument, "no-discard") == 0)
		vbd->can_discard = false;
	else if (strcmp(argument, "slow-zero") == 0)
		vbd->can_fast_zero = false;
	else
		return false;
	return true;
}

static int
serve(struct test_server *test)
{
	const char *why = "";
	int err = nbd_export_new(test->vbd, &why);

	if (!err)
		err = nbdclient_new(&test->client, &test->server, &why);
	if (!err)
		err = loop_watch(test->server.loop, 0, LOOP_READ, on_input, test, &test->input);
	if (err) {
		fprintf(stderr, "nbd-test-server: %s: %s\n", why, strerror(-err));
		return err;
	}
	printf("%d\n", (int)getpid());
	fflush(stdout);
	return loop_run(test->server.loop);
}

int
main(int argc, char **argv)
{
	struct test_server test = { .used = 0 };
	const char *pool = getenv("POOL");
	int i, err;

	if (argc < 3)
		return 22;
	if (fake_server_init(&test.server, argv[1], getenv("TAPDISK_AIO"),
			     pool ? strtoull(pool, NULL, 0) : POOL_BYTES))
		return 1;
	test.vbd = fake_vbd_new(&test.server, 7, strtoull(argv[2], NULL, 0) / 512);
	if (!test.vbd)
		return 1;
	for (i = 3; i < argc; i++)
		if (!take_argument(test.vbd, argv[i]))
			return 22;
	err = serve(&test);
	loop_unwatch(test.input);
	nbdclient_free(test.client);
	if (test.vbd->source)
		fake_vbd_close(test.vbd);
	fake_vbd_free(test.vbd);
	fake_server_fini(&test.server);
	return err ? 1 : 0;
}
