# SPDX-License-Identifier: BSD-2-Clause
"""Starting programs so that nothing of them is left, whatever happens."""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something that cannot be measured, and why."""


def interruptible():
    """Let the ordinary ways to be ended unwind, as Ctrl-C does."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


@contextlib.contextmanager
def scratch(parent=None):
    """A directory that goes away with all that is in it."""
    path = tempfile.mkdtemp(prefix="blktap-bench.", dir=parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def start(command, cpu=None, log=None, **more):
    """Start a program on one CPU; it is told to end should we die without a word.

    What it says on stderr goes to the file `log`.
    """
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    with open(log or os.devnull, "wb") as errors:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors,
                                preexec_fn=prepare, start_new_session=True, **more)


def stop(process):
    """End a program: it is asked, then forced."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def last_line(path):
    """The last line of a log, for a message."""
    try:
        with open(path, errors="replace") as log:
            lines = log.read().strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it gave no reason"


def read_line(process, log):
    """The first line that a program prints."""
    ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    if not ready:
        raise Failure("says nothing for %d s" % START_TIMEOUT_S)
    line = process.stdout.readline().decode(errors="replace").strip()
    if not line:
        process.wait()
        raise Failure(last_line(log))
    return line


def wait_for_socket(process, path, log):
    """Wait until a program accepts connections at a Unix socket."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(last_line(log))
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
                return
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.005)
    raise Failure("does not listen after %d s" % START_TIMEOUT_S)
