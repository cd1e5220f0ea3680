/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a histogram: what is rarely done, and so not inline.
 */
#include "bench/histogram.h"

uint64_t
histogram_bucket_end(unsigned bucket)
{
	unsigned shift;
	uint64_t leading;

	if (bucket < (2u << HISTOGRAM_SUB_BITS))
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	leading = bucket - (shift << HISTOGRAM_SUB_BITS);
	return (leading << shift) + ((1ull << shift) - 1);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	unsigned i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->count[i] += from->count[i];
	into->total += from->total;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t
histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t wanted = h->total / 1000 * permille + (h->total % 1000 * permille + 999) / 1000;
	uint64_t seen = 0, end;
	unsigned i;

	if (!h->total)
		return 0;
	if (!wanted)
		wanted = 1;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->count[i];
		if (seen >= wanted)
			break;
	}
	end = histogram_bucket_end(i);
	return end < h->max ? end : h->max;
}
