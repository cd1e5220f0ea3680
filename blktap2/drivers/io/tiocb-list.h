/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tiocbs in a row.
 */
#ifndef IO_TIOCB_LIST_H
#define IO_TIOCB_LIST_H

#include <tapdisk.h>

/* tiocbs linked by their next, first in first out. */
struct tiocb_list {
	struct tiocb *first;
	struct tiocb **end;
};

static inline void
tiocb_list_init(struct tiocb_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static inline void
tiocb_list_add(struct tiocb_list *list, struct tiocb *tiocb)
{
	tiocb->next = NULL;
	*list->end = tiocb;
	list->end = &tiocb->next;
}

static inline struct tiocb *
tiocb_list_take(struct tiocb_list *list)
{
	struct tiocb *tiocb = list->first;

	if (tiocb) {
		list->first = tiocb->next;
		if (!list->first)
			list->end = &list->first;
		tiocb->next = NULL;
	}
	return tiocb;
}

/* Put batch, which is not empty, before what list holds; batch is void afterwards. */
static inline void
tiocb_list_prepend(struct tiocb_list *list, struct tiocb_list *batch)
{
	*batch->end = list->first;
	if (!list->first)
		list->end = batch->end;
	list->first = batch->first;
}

static inline void
tiocb_list_push(struct tiocb_list *list, struct tiocb *tiocb)
{
	struct tiocb_list one = { tiocb, &tiocb->next };

	tiocb_list_prepend(list, &one);
}

#endif
