#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients and disks that come, go, stall and pause."""
import os
import sys
import threading

sys.dont_write_bytecode = True
from nbdraw import *  # noqa: E402


def a_client_that_reads_no_replies_stalls_only_itself():
    with Server(64 * MIB) as server, connected(server) as deaf, connected(server) as other:
        deaf.sock.setblocking(False)
        requests = b''.join(struct.pack('>IHHQQI', REQUEST, 0, READ, i, 0, MIB)
                            for i in range(100000))
        sent = 0
        try:
            while sent < len(requests):
                sent += deaf.sock.send(requests[sent:])
        except BlockingIOError:
            pass
        for i in range(1000):
            assert other.read(i * 4096, 4096) == bytes(4096)
        # What is taken is bounded by the slots, not by what the client sends.
        assert server.stats()['reads'] <= 1000 + 64 + 16
        with open('/proc/%d/statm' % server.pid) as statm:
            resident = int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
        assert resident < 512 * MIB, resident


def requests_beyond_the_slots_wait():
    for count in 65, 66, 1000:
        with Server() as server, connected(server) as client:
            server('hold 1')
            client.send(*(struct.pack('>IHHQQI', REQUEST, 0, READ, i, i % 64 * 512, 512)
                          for i in range(count)))
            cookies = {i: 512 for i in range(count)}
            server.until_held(64)
            assert int(server('held')) == 64
            server('hold 0')
            server('finish 64')
            found = {client.reply(cookies)[0] for _ in cookies}
            assert found == set(cookies)


def a_short_pool_slows_down_and_fails_nobody():
    with Server(4 * MIB, pool=2 * MIB) as server:
        server('delay 1')
        failures = []

        def work(number):
            try:
                with connected(server) as client:
                    data = bytes([number]) * (MIB // 2)
                    client.write(number * MIB // 2, data)
                    for _ in range(8):
                        client.request(READ, number * MIB // 2, MIB // 2, cookie=9)
                    for _ in range(8):
                        assert client.reply({9: MIB // 2}) == (9, 0, data)
            except Exception as failure:  # told to the main thread
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures


def large_writes_beyond_the_budget_wait():
    with Server(128 * MIB) as server, connected(server) as client:
        server('hold 1')
        data = os.urandom(16 * MIB)
        writes = [client.request(WRITE, i * 16 * MIB, data=data) for i in range(4)]
        server.until_held(4)
        server('hold 0')
        writes.append(client.request(WRITE, 64 * MIB, 16 * MIB))
        server('finish 4')
        client.send(data)
        assert sorted(client.reply({})[:2] for _ in writes) == [(w, 0) for w in sorted(writes)]
        for i in range(5):
            assert client.read(i * 16 * MIB, 16 * MIB) == data


def too_many_clients_are_refused():
    with Server() as server:
        clients = [connected(server) for _ in range(16)]
        for _ in range(50):
            with Client(server) as client:
                client.expect_close()
        assert all(client.read(0, 512) == bytes(512) for client in clients)
        clients.pop().sock.close()
        server.until_clients(15)
        with connected(server) as client:
            assert client.read(0, 512) == bytes(512)
        for client in clients:
            client.sock.close()
        server.until_clients(0)


def a_killed_client_leaves_nothing():
    with Server() as server, connected(server) as other:
        before = server.fds()
        server('hold 1')
        for _ in range(20):
            client = connected(server)
            for i in range(10):
                client.request(WRITE, i * 512, data=bytes(512))
            client.sock.close()
            server.until_held(10)
            server('finish 10')
            server.until_clients(1)
        server('hold 0')
        assert other.read(0, 512) == bytes(512)
        assert server.fds() == before


def a_flush_is_answered_when_it_is_done():
    with Server() as server, connected(server) as client:
        client.write(0, bytes(512))
        server('hold 1')
        cookie = client.request(FLUSH)
        server.until_held(1)
        client.sock.setblocking(False)
        try:
            client.sock.recv(1)
            raise AssertionError('answered before it was done')
        except BlockingIOError:
            pass
        client.sock.settimeout(PATIENCE)
        server('finish 1')
        assert client.reply({}) == (cookie, 0, None)


def a_paused_disk_keeps_its_clients():
    with Server() as server, connected(server) as client:
        server('pause')
        cookies = {client.request(READ, i * 512, 512): 512 for i in range(20)}
        late = connected(server)
        assert server.stats()['reads'] == 0
        server('resume')
        assert {client.reply(cookies)[0] for _ in cookies} == set(cookies)
        assert late.read(0, 512) == bytes(512)
        late.sock.close()


def a_pause_within_a_payload_keeps_it():
    with Server() as server, connected(server) as client:
        data = os.urandom(300000)
        cookie = client.request(WRITE, 0, len(data), data[:100000])
        server('pause')
        server('resume')
        client.send(data[100000:])
        assert client.reply({}) == (cookie, 0, None)
        assert client.read(0, len(data)) == data


def a_closing_disk_answers_shutdown():
    for paused in False, True:
        with Server() as server, connected(server) as client:
            if paused:
                server('pause')
            server('shutdown')
            assert not os.path.exists(server.path())
            assert client.call(READ, 0, 512) == (ESHUTDOWN, None)
            assert client.call(WRITE, 0, data=bytes(4096))[0] == ESHUTDOWN
            assert client.call(FLUSH)[0] == ESHUTDOWN
            server('close')
            client.expect_close()


def a_close_answers_what_is_in_flight():
    with Server() as server, connected(server) as client:
        server('hold 1')
        cookies = {client.request(READ, i * 512, 512): 512 for i in range(8)}
        unaligned = [client.request(WRITE, 1, data=b'x') for _ in range(4)]
        server.until_held(9)
        server('close')
        found = dict(client.reply(cookies)[:2] for _ in range(12))
        assert all(found[cookie] == 0 for cookie in cookies)
        assert all(found[cookie] == ESHUTDOWN for cookie in unaligned), found
        client.expect_close()


def a_request_that_takes_too_long_is_answered_once():
    for command in READ, WRITE:
        with Server() as server, connected(server) as client:
            server('hold 1')
            data = b'x' * 100 if command == WRITE else b''
            cookie = client.request(command, 0, 100, data)
            server.until_held(1)
            server('expire')
            assert client.reply({cookie: 100}) == (cookie, EIO, None)
            server('hold 0')
            server('finish 1')
            assert client.read(0, 100) == bytes(100)


def a_late_request_of_a_lost_client_ends_quietly():
    with Server() as server:
        client = connected(server)
        server('hold 1')
        client.request(READ, 0, 512)
        client.request(READ, 0, 512)
        server.until_held(2)
        server('expire')
        client.sock.close()
        server('finish 1')
        server('expire')
        server('finish 1')
        server.until_clients(0)


def a_silent_handshake_holds_up_nobody():
    with Server() as server:
        silent = [Client(server) for _ in range(15)]
        with connected(server) as client:
            assert client.read(0, 512) == bytes(512)
        for client in silent:
            client.sock.close()


def endpoints_are_private():
    with Server() as server:
        for kind in 'nbd', 'nbd-old', 'nbdserver', 'nbdserver-new':
            assert os.stat(server.path(kind)).st_mode & 0o777 == 0o600
        assert os.stat('%s/nbdclient%d' % (server.dir, server.pid)).st_mode & 0o777 == 0o600


def ten_thousand_connections_come_and_go():
    with Server() as server:
        before = server.fds()
        for _ in range(10000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(server.path())  # waits where a time-out would refuse
        with connected(server) as client:  # behind all of them in the queue
            assert client.read(0, 512) == bytes(512)
            server.until_clients(1)
            assert server.fds() == before + 1


main(tests_of(globals()))
