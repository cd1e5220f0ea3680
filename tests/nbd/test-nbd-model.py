#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Byte-granular random requests, many at once over several connections, against a model."""
import os
import random
import sys

sys.dont_write_bytecode = True
from nbdraw import *  # noqa: E402

SIZE = 256 * 1024


def _run(sector, mode, rounds, generator, *options):
    """
    Rounds of requests in flight together.  Those that modify never share a byte, but share
    sectors wherever they can: each must end up whole, whatever the order.
    """
    model = bytearray(SIZE)
    with Server(SIZE, 'sector=%d' % sector, *options) as server:
        server('shuffle %d' % generator.randrange(1 << 30))
        clients = [connected(server, mode) for _ in range(4)]
        for _ in range(rounds):
            server('hold 1')
            at = generator.randrange(SIZE // 2)
            count = 0
            expected = []
            while at < SIZE and count < 60:
                length = min(generator.choice((1, 7, 100, 511, 512, 513, 4096, 9000)), SIZE - at)
                if generator.random() < 0.5:  # meet the sector's end now and then
                    at -= at % sector
                    at += sector if model is None else 0
                expected.append((at, length))
                at += length + generator.choice((0, 0, 1, 30, sector))
                count += 1
            used = 0
            pending = [0] * len(clients)
            for start, length in expected:
                if start < used or start + length > SIZE:
                    continue
                used = start + length
                number = generator.randrange(len(clients))
                client = clients[number]
                if generator.random() < 0.25:
                    client.request(WRITE_ZEROES, start, length)
                    model[start:used] = bytes(length)
                else:
                    data = generator.randbytes(length)
                    client.request(WRITE, start, data=data)
                    model[start:used] = data
                pending[number] += 1
            for _ in range(200):
                server('finish %d' % generator.randrange(1, 8))
            server('hold 0')
            while int(server('held')):
                server('finish 100')
            for client, waits in zip(clients, pending):
                for _ in range(waits):
                    assert client.reply({})[1] == 0
            assert generator.choice(clients).read(0, SIZE) == model
            start = generator.randrange(SIZE)
            length = generator.randrange(SIZE - start + 1)
            assert clients[0].read(start, length) == model[start:start + length]
        for client in clients:
            client.sock.close()


def unaligned_requests_match_the_model():
    generator = random.Random(seed())
    for sector in 512, 4096:
        for mode in 'simple', 'structured', 'extended':
            _run(sector, mode, 15, generator)


def an_unaligned_write_waits_for_an_aligned_one():
    with Server() as server, connected(server) as one, connected(server) as two:
        server('hold 1')
        first = one.request(WRITE, 0, data=b'a' * 512)
        server.until_held(1)
        second = two.request(WRITE, 10, data=b'b')
        third = one.request(WRITE, 512, data=b'c' * 512)
        server.until_held(2)
        server('finish 2')
        assert sorted(one.reply({})[:2] for _ in range(2)) == [(first, 0), (third, 0)]
        server.until_held(1)
        fourth = one.request(WRITE, 0, data=b'd' * 512)
        fifth = one.request(READ, 512, 512)
        server.until_held(2)
        server('hold 0')
        server('finish 2')
        assert two.reply({}) == (second, 0, None)
        assert {one.reply({fifth: 512})[:2] for _ in range(2)} == {(fourth, 0), (fifth, 0)}
        assert one.read(0, 1024) == b'd' * 512 + b'c' * 512
        assert server.stats()['overlaps'] == 0


def a_failed_read_leaves_the_sectors_alone():
    for start, length in (1, 1), (500, 100), (0, 700), (511, 514):
        for command in WRITE, WRITE_ZEROES:
            with Server() as server, connected(server) as client:
                server('fill 0x5a')
                server('fail 5 0')
                data = b'n' * length if command == WRITE else b''
                assert client.call(command, start, length, data)[0] == EIO
                server('fail 0')
                if command == WRITE:
                    assert client.read(0, 2048) == b'\x5a' * 2048
                client.write(0, bytes(2048))
                assert client.read(0, 2048) == bytes(2048)


def unaligned_writes_are_durable_when_asked():
    with Server() as server, connected(server) as client:
        client.write(100, b'x' * 1000, FUA)
        stats = server.stats()
        assert (stats['writes'], stats['fua']) == (1, 1), stats
        client.call(WRITE_ZEROES, 100, 2000, flags=FUA)
        stats = server.stats()
        assert stats['fua'] == 1 + stats['writes'] - 1 + stats['zeroes'], stats


def the_longest_unaligned_requests_are_served_or_refused():
    with Server(40 * MIB) as server, connected(server) as client:
        data = os.urandom(31 * MIB)
        client.write(1, data)
        assert client.read(1, len(data)) == data
        error, found = client.call(READ, 1, 32 * MIB)
        assert (error, found) == (EINVAL, None) or found == data + bytes(MIB)
        assert client.call(WRITE, 1, data=bytes(32 * MIB))[0] in (0, EINVAL)
        assert client.read(0, 1) == bytes(1)


main(tests_of(globals()))
