/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a loop was asked to do at the end of its turn.
 */
#include <stddef.h>

#include "drivers/core/loop-state.h"

void
loop_tasks_init(struct loop_tasks *tasks)
{
	tasks->first = NULL;
	tasks->end = &tasks->first;
}

void
loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*loop->deferred.end = task;
	loop->deferred.end = &task->next;
}

static bool
remove_task(struct loop_tasks *tasks, struct loop_task *task)
{
	struct loop_task **at = &tasks->first;

	while (*at && *at != task)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = task->next;
	if (!*at)
		tasks->end = at;
	return true;
}

void
loop_defer_cancel(struct loop *loop, struct loop_task *task)
{
	if (!task->queued)
		return;
	if (!remove_task(&loop->running, task))
		remove_task(&loop->deferred, task);
	task->queued = false;
}

/* A task that is deferred while these run belongs to the next turn. */
void
loop_tasks_run(struct loop *loop)
{
	struct loop_task *task;

	if (!loop->deferred.first)
		return;
	loop->running = loop->deferred;
	loop_tasks_init(&loop->deferred);
	while ((task = loop->running.first)) {
		remove_task(&loop->running, task);
		task->queued = false;
		task->fn(task->arg);
	}
}
