# SPDX-License-Identifier: BSD-2-Clause
"""Run the examples of a manual page, or of README.md.

    examples.py PAGE

The caller gives a place where they can do no harm: a /srv and a /run of its own, and processes that
nobody else sees.  Of each display in the section EXAMPLES the lines that begin with "# " are
commands, and must succeed; the lines between them are what they print, where any number stands for
every number.  1234 is the pid of the tapdisk that was started last.  Comments in the page's source,
before a display, say what else is to be known:

    .\\" setup: COMMAND       run it first; it has what the example takes for granted
    .\\" needs: COMMAND       the page's examples can be run only where COMMAND succeeds
    .\\" until: EXPRESSION    the display's command stays: end it when it has printed such a line
    .\\" check: COMMAND       must succeed after the display: it has done what the page says
    .\\" daemon: PROGRAM      the display leaves it running: end it after the check
    .\\" configuration        the display is part of a guest's configuration for xl
    .\\" configuration of xm  the same for xm

Setups and checks find the programs of tests/manuals/host, which play what surrounds ours.

In a document that is no page, a display is a block that is set in and begins with a command.
"""

import ast
import contextlib
import glob
import os
import re
import select
import signal
import subprocess
import sys
import threading
from typing import Iterator, List, NamedTuple, Optional

NEEDS_MISSING = 77
PATIENCE = 60
CONTROL = '/run/blktap-control'


class Display(NamedTuple):
    lines: List[str]
    notes: List[str]


def plain(line: str) -> str:
    """A line as readers see it."""
    line = re.sub(r'^\.Dl ', '', line)
    for written, read in (('\\e', '\\'), ('\\&', ''), ('\\-', '-'), ('\\(aq', "'"), ('\\(dq', '"')):
        line = line.replace(written, read)
    return re.sub(r' Ns (?=\S)', '', line)


def displays(page: str) -> Iterator[Display]:
    """The displays of the section EXAMPLES, each with the notes before it."""
    within, notes = False, []
    block: Optional[List[str]] = None
    with open(page, encoding='utf-8') as text:
        for line in text.read().splitlines():
            if line.startswith('.Sh '):
                within = line == '.Sh EXAMPLES'
            elif not within:
                continue
            elif line.startswith('.\\" '):
                notes.append(line[4:])
            elif line.startswith('.Bd '):
                block = []
            elif line == '.Ed' and block is not None:
                yield Display(block, notes)
                block, notes = None, []
            elif block is not None:
                block.append(plain(line))
            elif line.startswith('.Dl '):
                yield Display([plain(line)], notes)
                notes = []


def blocks(document: str) -> Iterator[Display]:
    """The displays of a document."""
    with open(document, encoding='utf-8') as text:
        for block in re.findall(r'(?m)^    # .*\n(?:    .*\n)*', text.read()):
            yield Display([line[4:] for line in block.splitlines()], [])


class Examples:
    def __init__(self) -> None:
        self.count = 0

    def fail(self, command: str, why: str) -> None:
        sys.exit(f'# {command}\n{why}')

    @staticmethod
    def tapdisk() -> Optional[str]:
        """The pid of the tapdisk that was started last."""
        sockets = glob.glob(f'{CONTROL}/ctl*')
        return max(sockets, key=os.path.getmtime)[len(f'{CONTROL}/ctl'):] if sockets else None

    def adapted(self, command: str) -> str:
        pid = self.tapdisk()
        return re.sub('(?<![0-9])1234(?![0-9])', pid, command) if pid else command

    def run(self, command: str, expected: List[str]) -> None:
        self.count += 1
        command = self.adapted(command)
        done = subprocess.run(['sh', '-c', command], cwd='/srv', stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                              check=False)
        said = done.stdout.decode('utf-8', 'replace')
        if done.returncode:
            self.fail(command, f'exit status {done.returncode}\n{said}')
        wanted = [re.sub('[0-9]+', 'N', line) for line in expected]
        got = [re.sub('[0-9]+', 'N', line) for line in said.splitlines()]
        if wanted and wanted != got:
            self.fail(command, 'printed:\n' + said + 'the page has:\n' + '\n'.join(expected))

    def stay(self, command: str, until: str) -> None:
        """A command that does not return by itself."""
        self.count += 1
        with subprocess.Popen(['sh', '-c', f'exec env {command}'], cwd='/srv', encoding='utf-8',
                              errors='replace', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            patience = threading.Timer(PATIENCE, process.kill)
            patience.start()
            said = []
            for line in process.stdout:
                said.append(line)
                if re.search(until, line):
                    process.terminate()
            patience.cancel()
        seen = any(re.search(until, line) for line in said)
        if not seen or process.returncode not in (0, -signal.SIGTERM):
            self.fail(command, f'{"" if seen else "no "}{until} and exit status {process.returncode} '
                      'after:\n' + ''.join(said))

    def end(self, program: str) -> None:
        """End a daemon that an example has started."""
        pids = [int(path.split('/')[2]) for path in glob.glob('/proc/[0-9]*/comm')
                if open(path, encoding='utf-8').read() == program + '\n']
        if not pids:
            self.fail(program, 'is not running')
        for pid in pids:
            process = os.pidfd_open(pid)
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if not select.select([process], [], [], PATIENCE)[0]:
                self.fail(program, 'does not end')
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)  # what a daemon's parent left behind is for the first process

    def configuration(self, lines: List[str], xm: bool) -> None:
        """disk = [ ... ], as Python reads it, and xl and xm do."""
        from xen.xend.server import BlktapController, diskconfig
        self.count += 1
        for line in ast.literal_eval('\n'.join(lines).split('=', 1)[1].strip()):
            if xm:
                BlktapController.parse_uname(diskconfig.parse_xm(line).uname)
            else:
                print(f'{line}: {diskconfig.parse_xl(line).params}')

    def commands(self, display: Display, until: Optional[str]) -> None:
        command, expected = None, []
        for line in '\n'.join(display.lines).replace('\\\n', '').splitlines() + ['# ']:
            if not line.startswith('# '):
                expected.append(line)
                continue
            if command and until:
                self.stay(command, until)
            elif command:
                self.run(command, expected)
            elif expected:
                self.fail(expected[0], 'no command comes before this line')
            command, expected = line[2:], []

    def aside(self, command: str) -> None:
        """A command that is not on the page."""
        self.run(command, [])
        self.count -= 1

    @staticmethod
    def works(command: str) -> bool:
        return subprocess.run(['sh', '-c', command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def show(self, display: Display) -> None:
        notes = [note.partition(': ')[::2] for note in display.notes]
        for what, command in notes:
            if what == 'setup':
                self.aside(command)
            elif what == 'needs' and not self.works(command):
                print(f'this does not work here: {command}')
                sys.exit(NEEDS_MISSING)
        if 'configuration' in display.notes or 'configuration of xm' in display.notes:
            self.configuration(display.lines, 'configuration of xm' in display.notes)
        else:
            self.commands(display, dict(notes).get('until'))
        for what, command in notes:
            if what == 'check':
                self.aside(command)
        for what, program in notes:
            if what == 'daemon':
                self.end(program)


def main(page: str) -> None:
    examples = Examples()
    for display in blocks(page) if page.endswith('.md') else displays(page):
        examples.show(display)
    if not examples.count:
        sys.exit('no example can be run')
    print(f'{examples.count} examples')


if __name__ == '__main__':
    main(sys.argv[1])
