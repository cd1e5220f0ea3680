/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with one disk: guest-disk FOLDER DOMID
 *
 * Makes a ring of one page and prints its grant and its port.  From then on each line of standard
 * input is a request for one page of data, and each line of output what came of it:
 *
 *	write SECTOR TEXT	"0", or the status of the response
 *	read SECTOR		the same, and the text that was there
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fakexen/blkfront.h"

#define PAGES 16
#define PATIENCE_MS 60000

enum { OP_READ = 0, OP_WRITE = 1 };

struct disk {
	struct guest guest;
	struct front_queue queue;
	char *data; /* one page */
	uint32_t gref;
	uint64_t id;
};

/* The status of the response, or 1: there was none in time. */
static int
request(struct disk *disk, uint8_t op, uint64_t sector)
{
	struct front_segment segment = { .gref = disk->gref, .first = 0, .last = 7 };
	struct pollfd fd = { .fd = disk->guest.events.fd, .events = POLLIN };
	struct front_response response;

	front_direct(&disk->queue, op, ++disk->id, sector, &segment, 1);
	front_push(&disk->queue);
	while (!front_response(&disk->queue, &response)) {
		if (poll(&fd, 1, PATIENCE_MS) <= 0)
			return 1;
		front_was_kicked(&disk->queue);
	}
	return response.id == disk->id && response.op == op ? response.status : 1;
}

static void
serve(struct disk *disk, char *line)
{
	char *text = line;
	const char *word = strsep(&text, " \n"), *sector = strsep(&text, " \n");
	int status;

	if (!word || !sector)
		return;
	if (strcmp(word, "write") == 0) {
		memset(disk->data, 0, WORLD_PAGE);
		snprintf(disk->data, WORLD_PAGE, "%s", text ? strsep(&text, "\n") : "");
		printf("%d\n", request(disk, OP_WRITE, strtoumax(sector, NULL, 10)));
	} else {
		memset(disk->data, 'x', WORLD_PAGE);
		status = request(disk, OP_READ, strtoumax(sector, NULL, 10));
		disk->data[WORLD_PAGE - 1] = '\0';
		printf("%d %s\n", status, disk->data);
	}
}

int
main(int argc, char **argv)
{
	struct disk disk = { .id = 0 };
	uint32_t first;
	char line[256];

	if (argc != 3 ||
	    guest_open(&disk.guest, argv[1], (uint32_t)strtoul(argv[2], NULL, 10), PAGES))
		return EXIT_FAILURE;
	front_queue_init(&disk.queue, &disk.guest, false, 0, 0);
	disk.data = guest_pages(&disk.guest, 1, &first);
	disk.gref = guest_grant(&disk.guest, first, false);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%u %u\n", disk.queue.grefs[0], disk.queue.port);
	while (fgets(line, sizeof(line), stdin))
		serve(&disk, line);
	front_queue_end(&disk.queue);
	guest_close(&disk.guest);
	return EXIT_SUCCESS;
}
