/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-load: what one NBD server does under one kind of load, and what it costs.
 *
 * The figure that counts is the CPU time of the server per request; the generator's own is printed
 * beside it, so that a measurement in which the generator was the bottleneck is seen to be one.
 */
#include <errno.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/reason.h"

#include "bench/cputime.h"
#include "bench/load-options.h"
#include "bench/load.h"
#include "bench/nbd-client.h"

static const char *const kind_names[LOAD_KINDS] = {
	[LOAD_READ] = "read",
	[LOAD_WRITE] = "write",
	[LOAD_FLUSH] = "flush",
};

/* What was measured, in the units in which it is printed. */
struct report {
	const struct load_result *load;
	struct histogram all; /* requests of every kind */
	double seconds;
	double iops;
	double mib_per_s;
	double server_us; /* CPU time per request; negative: not measured */
	double client_us;
	double client_busy; /* of one CPU, 0 to 1 */
};

static double
microseconds(uint64_t ns)
{
	return (double)ns / 1000;
}

/* A number with a fixed count of decimals: more would be noise. */
static struct json_object *
number(double value, int decimals)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", decimals, value);
	return json_object_new_double_s(value, text);
}

static struct json_object *
latency_object(const struct histogram *h)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "requests", json_object_new_uint64(h->total));
	json_object_object_add(object, "p50_us",
			       number(microseconds(histogram_quantile(h, 500)), 1));
	json_object_object_add(object, "p99_us",
			       number(microseconds(histogram_quantile(h, 990)), 1));
	json_object_object_add(object, "max_us", number(microseconds(h->max), 1));
	return object;
}

static void
print_json(const struct report *report)
{
	struct json_object *object = latency_object(&report->all);
	unsigned kind;

	json_object_object_add(object, "seconds", number(report->seconds, 6));
	json_object_object_add(object, "iops", number(report->iops, 1));
	json_object_object_add(object, "mib_per_s", number(report->mib_per_s, 2));
	json_object_object_add(object, "server_cpu_us",
			       report->server_us < 0 ? NULL : number(report->server_us, 3));
	json_object_object_add(object, "client_cpu_us", number(report->client_us, 3));
	json_object_object_add(object, "client_busy", number(report->client_busy, 3));
	for (kind = 0; kind < LOAD_KINDS; kind++)
		json_object_object_add(object, kind_names[kind],
				       latency_object(&report->load->latency[kind]));
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED));
	json_object_put(object);
}

static void
print_latency(const char *name, const struct histogram *h)
{
	if (h->total)
		printf("%-8s %10llu requests   p50 %.1f us   p99 %.1f us   max %.1f us\n", name,
		       (unsigned long long)h->total, microseconds(histogram_quantile(h, 500)),
		       microseconds(histogram_quantile(h, 990)), microseconds(h->max));
}

static void
print_text(const struct report *report)
{
	unsigned kind;

	printf("%.0f IOPS   %.1f MiB/s   in %.2f s\n", report->iops, report->mib_per_s,
	       report->seconds);
	for (kind = 0; kind < LOAD_KINDS; kind++)
		print_latency(kind_names[kind], &report->load->latency[kind]);
	if (report->server_us >= 0)
		printf("server   %.3f us of CPU time per request\n", report->server_us);
	printf("client   %.3f us of CPU time per request, %.0f %% busy\n", report->client_us,
	       report->client_busy * 100);
}

static void
print_report(const struct load_result *load, uint64_t server_ns, uint64_t client_ns,
	     const struct load_options *options)
{
	struct report report = { .load = load };
	double seconds, requests;
	unsigned kind;

	for (kind = 0; kind < LOAD_KINDS; kind++)
		histogram_merge(&report.all, &load->latency[kind]);
	/* A run that ended at once is one of no length: keep the divisions defined. */
	seconds = load->elapsed_ns ? (double)load->elapsed_ns / 1e9 : 1e-9;
	requests = report.all.total ? (double)report.all.total : 1;
	report.seconds = (double)load->elapsed_ns / 1e9;
	report.iops = (double)report.all.total / seconds;
	report.mib_per_s = (double)load->bytes / (1 << 20) / seconds;
	report.server_us = options->pid_count ? microseconds(server_ns) / requests : -1;
	report.client_us = microseconds(client_ns) / requests;
	report.client_busy = (double)client_ns / 1e9 / seconds;
	if (options->json)
		print_json(&report);
	else
		print_text(&report);
}

/* Run, with the CPU clocks read as close to both ends as can be. */
static int
measure(struct load *load, const struct load_options *options, struct load_result *result,
	struct reason *why)
{
	uint64_t server[2] = { 0 }, client[2];
	int err;

	if (options->warm_up.ns) {
		err = load_run(load, &options->warm_up, result, why);
		if (err)
			return err;
	}
	if (cputime_of(options->pids, options->pid_count, &server[0]))
		return reason(why, -ESRCH, "--pid: no such process");
	client[0] = cputime_own();
	err = load_run(load, &options->stop, result, why);
	if (err)
		return err;
	client[1] = cputime_own();
	if (cputime_of(options->pids, options->pid_count, &server[1]))
		return reason(why, -ESRCH, "the server is gone");
	print_report(result, server[1] - server[0], client[1] - client[0], options);
	return 0;
}

static int
pin_to_cpu(int cpu, struct reason *why)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	if (cpu >= CPU_SETSIZE)
		return reason(why, -EINVAL, "--cpu: no such CPU");
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return reason(why, -errno, "--cpu: %s", strerror(errno));
	return 0;
}

static int
run(const struct load_options *options, struct reason *why)
{
	struct load_result *result = NULL;
	struct nbd_export_info info;
	struct load *load = NULL;
	int fd, err = pin_to_cpu(options->cpu, why);

	if (err)
		return err;
	fd = nbd_client_connect(options->socket, options->export_name, &info, why);
	if (fd < 0)
		return fd;
	result = calloc(1, sizeof(*result));
	err = result ? load_new(fd, info.size, &options->spec, &load, why)
		     : reason(why, -ENOMEM, "out of memory");
	if (!err)
		err = measure(load, options, result, why);
	load_free(load);
	free(result);
	nbd_client_disconnect(fd);
	return err;
}

int
main(int argc, char **argv)
{
	struct load_options options;
	struct reason why = { "" };
	int status;

	if (load_options_parse(&options, argc, argv, &status))
		return status;
	if (run(&options, &why)) {
		fprintf(stderr, "nbd-load: %s: %s\n", options.socket, why.text);
		return 1;
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "nbd-load: cannot write the result: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
