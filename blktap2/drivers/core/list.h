/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doubly linked list whose head type the driver interface publishes.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stddef.h>

#include <tapdisk.h>

#define list_entry(at, type, member) ((type *)(void *)((char *)(at)-offsetof(type, member)))
#define list_for_each(at, head) for ((at) = (head)->next; (at) != (head); (at) = (at)->next)

static inline void
list_init(struct list_head *head)
{
	head->next = head->prev = head;
}

static inline void
list_add_tail(struct list_head *item, struct list_head *head)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void
list_del(struct list_head *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#endif
