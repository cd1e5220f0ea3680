#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that are passed to the server: served oldstyle or newstyle, or kept for a driver."""
import os
import sys

sys.dont_write_bytecode = True
from nbdraw import *  # noqa: E402


def _passed(server, kind):
    """A client whose other end is the server's."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with theirs:
        pass_fd(server.path(kind), [theirs.fileno()])
    return Client(sock=ours)


def a_passed_socket_is_served_oldstyle():
    with Server() as server, _passed(server, 'nbdserver') as client:
        client.oldstyle()
        assert (client.size, client.flags & 0xFFFF0081) == (MIB, 1)
        client.write(4096, b'p' * 4096)
        assert client.read(4096, 4096) == b'p' * 4096


def a_passed_socket_is_served_newstyle():
    with Server() as server, _passed(server, 'nbdserver-new') as client:
        client.greet().structured().contexts().go()
        assert client.read(4096, 4096) == bytes(4096)


def a_disconnect_begins_a_new_handshake():
    with Server() as server:
        with _passed(server, 'nbdserver') as client:
            before = server.fds()
            for i in range(100):
                client.oldstyle()
                client.write(i * 512, b'd' * 512)
                client.disconnect()
            client.oldstyle()
            assert server.fds() == before
        with _passed(server, 'nbdserver-new') as client:
            for i in range(100):
                client.mode = 'simple'
                client.greet()
                if i % 2:
                    client.structured()
                client.go()
                assert client.read(i * 512, 512) == b'd' * 512
                client.disconnect()
            client.greet()
        server.until_clients(0)


def an_accepted_socket_ends_with_its_disconnect():
    with Server() as server, connected(server) as client:
        client.disconnect()
        client.expect_close()


def a_message_needs_a_name_and_a_descriptor():
    with Server() as server:
        before = server.fds()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pass_fd(server.path('nbdserver'), [])
            pass_fd(server.path('nbdserver'), [theirs.fileno()], b'n' * 16385)
            with open('/dev/null') as null:
                pass_fd(server.path('nbdserver'), [null.fileno()])
            datagrams = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            pass_fd(server.path('nbdserver'), [datagrams[0].fileno()])
            for sock in datagrams:
                sock.close()
        assert server.fds() == before
        assert server.stats()['nbd']['clients'] == 0


def further_descriptors_are_closed():
    with Server() as server:
        pairs = [socket.socketpair() for _ in range(40)]
        before = server.fds()
        for group in pairs[:2], pairs[2:]:
            pass_fd(server.path('nbdserver-new'), [pair[1].fileno() for pair in group],
                    b'n' * 16384)
        for pair in pairs:
            pair[1].close()
            pair[0].settimeout(PATIENCE)
        for number, (ours, _) in enumerate(pairs):
            if number in (0, 2):
                Client(sock=ours).greet().go()
            else:
                assert ours.recv(1) == b''
        assert server.fds() == before + 2
        for pair in pairs:
            pair[0].close()
        server.until_clients(0)


def silent_senders_hold_up_nobody_for_long():
    with Server() as server:
        silent = []
        for _ in range(7):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(server.path('nbdserver'))
            silent.append(sock)
        with _passed(server, 'nbdserver') as client:
            client.oldstyle()
        for sock in silent:
            sock.close()


def stored_descriptors_are_found_by_name():
    with Server() as server:
        path = '%s/nbdclient%d' % (server.dir, server.pid)
        before = server.fds()
        pairs = [socket.socketpair() for _ in range(40)]
        for number, pair in enumerate(pairs):
            pass_fd(path, [pair[1].fileno()], b'name-%d' % number)
        assert server.fds() == before + 40
        for number in range(40):
            assert server('take name-%d' % number) == 'taken'
        assert server('take name-1') == 'none'
        assert server.fds() == before
        # The same name replaces, and the old descriptor is closed.
        pass_fd(path, [pairs[0][1].fileno()], b'again\0')
        pairs[0][1].close()
        pass_fd(path, [pairs[1][1].fileno()], b'again')
        pairs[0][0].settimeout(PATIENCE)
        assert pairs[0][0].recv(1) == b''
        assert server('take again') == 'taken'
        # Names that cannot be.
        for name in b'n' * 256, b'a\0b', b'\0':
            pass_fd(path, [pairs[1][1].fileno()], name)
        assert server.fds() == before
        pass_fd(path, [pairs[1][1].fileno()], b'n' * 255)
        assert server('take ' + 'n' * 255) == 'taken'
        # There is an end to it.
        for number in range(100):
            pass_fd(path, [pairs[1][1].fileno()], b'many-%d' % number)
        assert server.fds() == before + 64
        for pair in pairs:
            pair[0].close()
            pair[1].close()


main(tests_of(globals()))
