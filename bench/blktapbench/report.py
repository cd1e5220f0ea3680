# SPDX-License-Identifier: BSD-2-Clause
"""What was measured, for people and for machines."""

import json
import os
import platform

from blktapbench.cases import CASES, TARGETS

TITLES = {case.name: case.title for case in CASES}
METRIC_TITLES = {"iops": "IOPS", "mib": "MiB/s", "p50": "p50 latency", "cpu": "CPU per request"}
MORE_IS_BETTER = {"iops": True, "mib": True, "p50": False, "cpu": False}

HEAD = "  %-18s %9s %9s %9s %9s %8s" % ("", "IOPS", "MiB/s", "p50 us", "p99 us", "CPU us")
RATIO_HEAD = "   ours to it: IOPS    p50    CPU"


def ratio(ours, theirs):
    return ours / theirs if theirs else float("nan")


def places(medians):
    """The (kind, location) that were measured, in the order in which they were."""
    return list(dict.fromkeys(key[:2] for key in medians))


def rows(medians, place, case):
    """server -> medians, of one case in one place."""
    return {key[3]: row for key, row in medians.items() if key[:3] == place + (case,)}


def table(medians, place, ours):
    """One table: the cases of one place."""
    lines = []
    for case in TITLES:
        found = rows(medians, place, case)
        if not found:
            continue
        lines += ["", TITLES[case]]
        for server, row in found.items():
            line = "  %-18s %9.0f %9.1f %9.1f %9.1f %8.2f" % (
                server, row["iops"], row["mib"], row["p50"], row["p99"], row["cpu"])
            if ours in found and server != ours:
                line += "         %9.2fx %5.2fx %5.2fx" % tuple(
                    ratio(found[ours][metric], row[metric]) for metric in ("iops", "p50", "cpu"))
            lines.append(line)
    return lines


def judge(medians, ours):
    """Every target for which both sides were measured: (target, peer, ratio, met)."""
    judged = []
    for target in TARGETS:
        found = rows(medians, (target.kind, target.location), target.case)
        peers = {server: row for server, row in found.items() if not server.startswith("tapdisk2")}
        peer = target.peer
        if peer == "best" and peers:
            best = max if MORE_IS_BETTER[target.metric] else min
            peer = best(peers, key=lambda server: peers[server][target.metric])
        if ours not in found or peer not in peers:
            continue
        value = ratio(found[ours][target.metric], peers[peer][target.metric])
        met = value <= target.factor if target.relation == "at most" else value >= target.factor
        judged.append((target, peer, value, met))
    return judged


def describe(bench):
    """The machine and the settings, in a few lines."""
    options = bench.options
    client = "polls for replies" if options.poll else "sleeps between replies"
    return [
        "%d CPUs (%s), Linux %s" % (os.cpu_count(), cpu_model(), platform.release()),
        "medians of %d rounds of %g s each, in turns; images of %d MiB" % (
            options.rounds, options.seconds, options.size >> 20),
        "server on CPU %d; load generator on CPU %d, which %s" % (
            options.server_cpu, options.client_cpu, client),
    ]


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def notes(bench, missing):
    """What a reader must know before he believes the figures."""
    lines = ["%s %s: left out" % (name, why) for name, why in missing.items()]
    lines += ["failed: %s" % failure for failure in bench.failures]
    if bench.cut_short:
        lines.append("the machine is slow today: not all rounds were run")
    if bench.others > 0.1:
        lines.append("other programs kept %.1f CPUs busy meanwhile: throughput and latency of all "
                     "suffer from it" % bench.others)
    return lines


def print_text(bench, missing, ours):
    medians = bench.medians()
    print("\n".join(describe(bench)))
    for place in places(medians):
        print("\n%s image on %s\n%s%s" % (place + (HEAD, RATIO_HEAD)))
        print("\n".join(table(medians, place, ours)))
    judged = judge(medians, ours)
    if judged:
        print("\ntargets")
    for target, peer, value, met in judged:
        print("  %-7s %s: %s %s %gx that of %s: %.2fx" % (
            "met" if met else "NOT MET", TITLES[target.case], METRIC_TITLES[target.metric],
            target.relation, target.factor, peer, value))
    said = notes(bench, missing)
    if said:
        print()
    for line in said:
        print("note: %s" % line)


def print_json(bench, missing, ours):
    options = bench.options
    medians = bench.medians()
    print(json.dumps({
        "machine": {"cpus": os.cpu_count(), "model": cpu_model(), "kernel": platform.release()},
        "settings": {"rounds": options.rounds, "seconds": options.seconds,
                     "warm_up": options.warm_up, "size": options.size, "poll": options.poll,
                     "server_cpu": options.server_cpu, "client_cpu": options.client_cpu},
        "results": [dict(zip(("image", "location", "case", "server"), key), medians=medians[key],
                         rounds=reports)
                    for key, reports in bench.results.items()],
        "targets": [dict(target._asdict(), peer=peer, ratio=value, met=met)
                    for target, peer, value, met in judge(medians, ours)],
        "missing": missing,
        "failures": bench.failures,
        "other_cpus_busy": bench.others,
    }, indent=1))
