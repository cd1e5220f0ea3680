# SPDX-License-Identifier: BSD-2-Clause
"""Measuring: every case on every server, in turns, so that what disturbs one disturbs all."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

from blktapbench import process
from blktapbench.process import Failure

GRACE_S = 60


def metrics(report, case):
    """The figures that are compared, of one report of nbd-load."""
    latency = report[case.latency] if case.latency else report
    return {"iops": report["iops"], "mib": report["mib_per_s"], "p50": latency["p50_us"],
            "p99": latency["p99_us"], "cpu": report["server_cpu_us"],
            "client": report["client_cpu_us"]}


class Progress:
    """One line on a tty that says what is going on; nothing elsewhere."""

    def __init__(self, total, out=sys.stderr):
        self.out = out if out.isatty() else None
        self.total = total
        self.done = 0
        self.started = time.monotonic()

    def show(self, text):
        if self.out:
            self.out.write("\r\033[K[%d/%d] %s%s" % (self.done, self.total, text, self.left()))
            self.out.flush()

    def seconds(self):
        return time.monotonic() - self.started

    def left(self):
        if not self.done:
            return ""
        seconds = self.seconds() / self.done * (self.total - self.done)
        return ", %d:%02d left" % divmod(int(seconds), 60)

    def clear(self):
        if self.out:
            self.out.write("\r\033[K")
            self.out.flush()


class Machine:
    """How busy the machine was with other things than the measurement."""

    def __init__(self):
        self.ticks = os.sysconf("SC_CLK_TCK")
        self.started = time.monotonic()
        self.busy = self.read()
        self.own = self.own_seconds()

    @staticmethod
    def read():
        with open("/proc/stat") as stat:
            fields = [int(field) for field in stat.readline().split()[1:9]]
        user, nice, system, _, _, irq, softirq, steal = fields
        return user + nice + system + irq + softirq + steal

    @staticmethod
    def own_seconds():
        return sum(os.times()[:4])

    def others(self, server_seconds):
        """CPUs that others kept busy on average since we began; servers still run, so their time
        is not among that of our children."""
        busy = (self.read() - self.busy) / self.ticks
        own = self.own_seconds() - self.own + server_seconds
        return max(0.0, busy - own) / (time.monotonic() - self.started)


class Bench:
    """One run of bench/compare.  results: (kind, location, case, server) -> list of reports."""

    def __init__(self, options, tree):
        self.options = options
        self.tree = tree
        self.results = {}
        self.failures = []
        self.cut_short = False
        self.server_seconds = 0.0

    def load(self, running, case, number):
        options = self.options
        command = [self.tree.nbd_load, "--json", "--pid", str(running.process.pid),
                   "--seconds", str(options.seconds), "--warm-up", str(options.warm_up),
                   "--seed", str(number), "--cpu", str(options.client_cpu)]
        command += ["--poll"] if options.poll else []
        command += case.arguments.split() + [running.socket]
        child = process.start(command, stdout=subprocess.PIPE, log=self.load_log)
        try:
            output, _ = child.communicate(timeout=options.seconds + options.warm_up + GRACE_S)
        except subprocess.TimeoutExpired:
            raise Failure("%s: takes too long" % case.name)
        finally:
            process.stop(child)
        if child.returncode:
            raise Failure("%s: %s" % (case.name, process.last_line(self.load_log)))
        report = json.loads(output)
        self.server_seconds += report["server_cpu_us"] * report["requests"] / 1e6
        return report

    def run_rounds(self, kind, location, started, progress):
        """All rounds of all cases in one place; each round begins with another server."""
        names = list(started)
        for number in range(self.options.rounds):
            if number and progress.seconds() > self.options.limit:
                self.cut_short = True
                break
            for case in self.options.cases:
                if case.fresh:
                    continue
                for i in range(len(names)):
                    name = names[(i + number) % len(names)]
                    progress.show("%s on %s, round %d: %s, %s" %
                                  (kind.name, location, number + 1, case.title, name))
                    if started[name]:
                        self.measure(kind, location, case, name, started, number)
                    progress.done += 1

    def measure(self, kind, location, case, name, started, number):
        try:
            report = self.load(started[name], case, number + 1)
            self.write_back()
        except Failure as failure:
            self.fail(kind, location, name, failure)
            started[name] = None
            return
        self.results.setdefault((kind.name, location, case.name, name), []).append(report)

    def fail(self, kind, location, name, failure):
        self.failures.append("%s: %s on %s: %s" % (name, kind.name, location, failure))

    def run_place(self, kind, location, directory, servers, progress):
        """Start every server on its own copy of the image, and measure."""
        started = {}
        if kind.fresh:
            self.run_fresh(kind, location, directory, servers, progress)
            return
        with contextlib.ExitStack() as stack:
            images = stack.enter_context(process.scratch(directory))
            sockets = stack.enter_context(process.scratch())
            self.load_log = os.path.join(sockets, "nbd-load.log")
            for number, server in enumerate(servers):
                image = os.path.join(images, "image%d" % number)
                own = os.path.join(sockets, str(number))
                os.mkdir(own, 0o700)
                progress.show("%s on %s: an image for %s" % (kind.name, location, server.name))
                try:
                    kind.create(image, self.options.size, self.tree)
                    running = server.start(kind, image, own, self.options.server_cpu)
                except Failure as failure:
                    self.fail(kind, location, server.name, failure)
                    started[server.name] = None
                    continue
                stack.callback(process.stop, running.process)
                started[server.name] = running
            self.images = images
            self.write_back()
            self.run_rounds(kind, location, started, progress)

    def run_fresh(self, kind, location, directory, servers, progress):
        """Every measurement on an image of its own, by a server of its own."""
        for number in range(self.options.rounds):
            for case in [case for case in self.options.cases if case.fresh]:
                for server in servers:
                    progress.show("%s on %s, round %d: %s, %s" %
                                  (kind.name, location, number + 1, case.title, server.name))
                    with process.scratch(directory) as self.images, process.scratch() as sockets:
                        self.load_log = os.path.join(sockets, "nbd-load.log")
                        image = os.path.join(self.images, "image")
                        try:
                            kind.create(image, self.options.size, self.tree)
                            running = server.start(kind, image, sockets, self.options.server_cpu)
                        except Failure as failure:
                            self.fail(kind, location, server.name, failure)
                            continue
                        started = {server.name: running}
                        self.measure(kind, location, case, server.name, started, number)
                        process.stop(running.process)
                    progress.done += 1

    def write_back(self):
        """What one server left in the page cache is not to be written while the next is measured."""
        for name in os.listdir(self.images):
            with open(os.path.join(self.images, name), "rb") as image:
                os.fsync(image.fileno())

    def run(self, kinds, places, servers):
        """Measure everything; what was measured stays when it is interrupted."""
        total = sum(len([s for s in servers if s.serves(kind)]) for kind in kinds)
        progress = Progress(total * len(places) * len(self.options.cases) * self.options.rounds)
        machine = Machine()
        try:
            for kind in kinds:
                for location, directory in places.items():
                    self.run_place(kind, location, directory,
                                   [s for s in servers if s.serves(kind)], progress)
        finally:
            progress.clear()
        self.others = machine.others(self.server_seconds)

    def medians(self):
        """(kind, location, case, server) -> {metric: median over the rounds}."""
        found = {}
        for key, reports in self.results.items():
            case = next(case for case in self.options.cases if case.name == key[2])
            rounds = [metrics(report, case) for report in reports]
            found[key] = {metric: statistics.median(row[metric] for row in rounds)
                          for metric in rounds[0]}
        return found
