#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a client may send, and what it may not: every answer, byte by byte."""
import os
import struct
import sys

sys.dont_write_bytecode = True
from nbdraw import *  # noqa: E402

MODES = 'simple', 'structured', 'extended'


# ---- handshake

def an_oldstyle_client_is_dropped():
    with Server() as server, Client(server) as client:
        client.recv(18)
        client.request(READ, 0, 512)
        client.expect_close()


def unknown_client_flags_are_dropped():
    with Server() as server, Client(server) as client:
        client.greet(flags=4)
        client.expect_close()


def a_wrong_option_magic_is_dropped():
    with Server() as server, Client(server) as client:
        client.greet().send_option(LIST, magic=IHAVEOPT + 1)
        client.expect_close()


def an_absurd_option_length_is_dropped():
    with Server() as server, Client(server) as client:
        client.greet().send_option(LIST, length=0xFFFFFFFF)
        client.expect_close()


def a_long_option_is_drained():
    with Server() as server, Client(server) as client:
        client.greet().send_option(LIST, bytes(4 * MIB))
        assert client.replies(LIST)[0][0] == ERR_TOO_BIG
        client.go()
        assert client.read(0, 512) == bytes(512)


def malformed_options_leave_the_client_in_the_option_phase():
    with Server() as server, Client(server) as client:
        client.greet()
        for data in (b'', bytes(5), b'\0\0\0\1\0\0', b'\xff\xff\xff\xff\0\0', b'\0\0\0\0\xff\xff',
                     b'\0\0\0\0\0\2\0\0', b'\0\0\0\0\0\0\0'):
            for option in INFO, GO:
                assert client.option(option, data)[0][0] == ERR_INVALID
        assert client.option(LIST, b'x')[0][0] == ERR_INVALID
        assert client.option(STRUCTURED_REPLY, b'x')[0][0] == ERR_INVALID
        assert client.option(STARTTLS)[0][0] == ERR_UNSUP
        assert client.option(77, b'data')[0][0] == ERR_UNSUP
        client.go()


def a_thousand_options_are_too_many():
    with Server() as server, Client(server) as client:
        client.greet()
        try:
            for _ in range(1000):
                client.option(LIST)
            raise AssertionError('all were answered')
        except (Closed, BrokenPipeError):
            pass


def abort_is_acknowledged_and_ends():
    with Server() as server, Client(server) as client:
        client.greet()
        assert client.option(ABORT) == [(ACK, b'')]
        client.expect_close()


def an_eager_client_is_understood():
    with Server() as server, Client(server) as client:
        client.recv(18)
        client.send(struct.pack('>I', 3),
                    struct.pack('>QII', IHAVEOPT, LIST, 0),
                    struct.pack('>QII', IHAVEOPT, EXPORT_NAME, 3), b'any',
                    struct.pack('>IHHQQI', REQUEST, 0, READ, 9, 0, 512))
        assert [kind for kind, _ in client.replies(LIST)] == [2, ACK]
        assert client.unpack('Q') == (MIB,)
        client.recv(2)
        assert client.reply({9: 512}) == (9, 0, bytes(512))


def a_dribbling_client_is_understood():
    with Server() as server, Client(server) as client:
        client.recv(18)
        data = (struct.pack('>I', 3) + struct.pack('>QII', IHAVEOPT, GO, 6) + bytes(6) +
                struct.pack('>IHHQQI', REQUEST, 0, WRITE, 1, 512, 512) + b'w' * 512 +
                struct.pack('>IHHQQI', REQUEST, 0, READ, 2, 512, 512))
        for byte in data:
            client.send(bytes([byte]))
        client.replies(GO)
        assert client.reply({}) == (1, 0, None)
        assert client.reply({2: 512}) == (2, 0, b'w' * 512)


def flags_follow_the_disk():
    always = 0x1 | 0x4 | 0x100 | 0x400
    for options, flags in (((), always | 0x8 | 0x20 | 0x40 | 0x800),
                           (('no-discard', 'slow-zero'), always | 0x8 | 0x40 | 0x800),
                           (('read-only',), always | 0x2)):
        with Server(MIB, *options) as server:
            with connected(server) as client:
                assert (client.size, client.flags) == (MIB, flags), hex(client.flags)
            with connected(server, 'structured') as client:
                assert client.flags == flags | 0x80
            with Client(server, 'nbd-old') as client:
                assert client.greet().go(b'any name').flags == flags


# ---- transmission

def limits_of_requests():
    huge = (1 << 64) - 1
    for mode in MODES:
        with Server() as server, connected(server, mode) as client:
            for offset, length in (MIB - 1, 2), (MIB, 1), (huge, 1), (huge, 2 ** 32 - 1):
                assert client.call(READ, offset, length) == (EINVAL, None)
                assert client.call(TRIM, offset, length)[0] == EINVAL
                assert client.call(CACHE, offset, length)[0] == EINVAL
                assert client.call(BLOCK_STATUS, offset, length)[0] == EINVAL
                assert client.call(WRITE_ZEROES, offset, length)[0] == ENOSPC
            for offset in MIB - 1, MIB, huge:
                assert client.call(WRITE, offset, data=b'xy')[0] == ENOSPC
            for offset in 0, MIB - 1, MIB:
                for command in READ, WRITE, TRIM, CACHE, WRITE_ZEROES:
                    error, data = client.call(command, offset, 0)
                    assert error == 0 and not data
                assert client.call(BLOCK_STATUS, offset, 0)[0] == EINVAL
            assert client.call(FLUSH)[0] == 0
            assert client.call(8)[0] == EINVAL
            assert client.call(77, 5, 5)[0] == EINVAL
            client.write(MIB - 512, b'e' * 512)
            assert client.read(MIB - 1, 1) == b'e'


def a_long_read_is_refused():
    with Server(64 * MIB) as server:
        for mode, error in zip(MODES, (EINVAL, EOVERFLOW, EOVERFLOW)):
            with connected(server, mode) as client:
                assert client.call(READ, 0, 32 * MIB + 1) == (error, None)
                assert client.read(0, 32 * MIB) == bytes(32 * MIB)


def a_long_write_is_dropped():
    with Server(64 * MIB) as server, connected(server) as client:
        data = os.urandom(32 * MIB)
        client.write(0, data)
        assert client.read(0, 32 * MIB) == data
        client.request(WRITE, 0, 32 * MIB + 1)
        client.expect_close()


def refused_writes_keep_the_stream_in_step():
    for mode in MODES:
        with Server() as server, connected(server, mode) as client:
            server('fill 0x5a')
            for size in 1, 512, 4096, 100000, 3 * MIB:
                first = client.request(WRITE, MIB, data=os.urandom(size))
                second = client.request(WRITE, 0, data=os.urandom(512), flags=0x4000)
                third = client.request(READ, 4096, 4096)
                found = [client.reply({third: 4096}) for _ in range(3)]
                assert sorted(found) == [(first, ENOSPC, None), (second, EINVAL, None),
                                         (third, 0, b'\x5a' * 4096)], found


def a_read_only_disk_is_not_written():
    for mode in MODES:
        with Server(MIB, 'read-only') as server, connected(server, mode) as client:
            server('fill 0x5a')
            assert client.call(WRITE, 0, data=bytes(512))[0] == EPERM
            assert client.call(TRIM, 0, 512)[0] == EPERM
            assert client.call(WRITE_ZEROES, 0, 512)[0] == EPERM
            assert client.call(FLUSH)[0] == 0
            assert client.read(0, 512) == b'\x5a' * 512


def flags_belong_to_their_commands():
    with Server() as server, connected(server, 'structured') as client:
        for command in READ, FLUSH, TRIM, CACHE, WRITE_ZEROES:
            length = 0 if command == FLUSH else 512
            assert client.call(command, 0, length, flags=FUA)[0] == 0
            assert client.call(command, 0, length, flags=REQ_ONE)[0] == EINVAL
        assert client.call(READ, 0, 512, flags=DF)[0] == 0
        assert client.call(TRIM, 0, 512, flags=DF)[0] == EINVAL
        assert client.call(WRITE, 0, data=bytes(512), flags=PAYLOAD_LEN)[0] == EINVAL
        assert client.read(0, 512) == bytes(512)
    with Server() as server, connected(server) as client:
        assert client.call(READ, 0, 512, flags=DF) == (EINVAL, None)


def errors_have_the_numbers_of_the_protocol():
    rows = ((5, EIO), (28, ENOSPC), (122, ENOSPC), (27, ENOSPC), (30, EPERM), (13, EPERM),
            (12, EIO), (110, EIO), (95, EIO), (999, EIO))
    for mode in MODES:
        with Server() as server, connected(server, mode) as client:
            for errno, error in rows:
                server('fail %d' % errno)
                assert client.call(READ, 0, 512) == (error, None)
                assert client.call(WRITE, 0, data=bytes(512))[0] == error
                assert client.call(WRITE, 3, data=bytes(5))[0] == error
                assert client.call(WRITE_ZEROES, 0, 512)[0] == error
                assert client.call(FLUSH)[0] == error
                assert client.call(BLOCK_STATUS, 0, 512)[0] in (error, EINVAL)
                assert client.call(TRIM, 0, 512)[0] == (0 if errno == 95 else error)
            server('fail 0')
            assert client.read(0, 512) == bytes(512)


def fua_and_no_hole_reach_the_disk():
    with Server() as server, connected(server) as client:
        client.write(0, bytes(512), FUA)
        assert server.stats()['fua'] == 1
        client.call(TRIM, 0, 512, flags=FUA)
        client.call(WRITE_ZEROES, 0, 512, flags=FUA | NO_HOLE)
        client.call(READ, 0, 512, flags=FUA)
        client.call(FLUSH, flags=FUA)
        stats = server.stats()
        assert (stats['fua'], stats['no_unmap'], stats['flushes']) == (3, 1, 1), stats


def fast_zero_is_fast_or_refused():
    with Server(MIB, 'slow-zero') as server, connected(server) as client:
        server('fill 0x5a')
        assert client.call(WRITE_ZEROES, 0, 4096, flags=FAST_ZERO)[0] == ENOTSUP
        assert client.read(0, 4096) == b'\x5a' * 4096
        assert client.call(WRITE_ZEROES, 0, 4096)[0] == 0
        assert client.read(0, 4096) == bytes(4096)
    with Server() as server, connected(server) as client:
        server('fill 0x5a')
        assert client.call(WRITE_ZEROES, 1, 4096, flags=FAST_ZERO)[0] == 0
        assert client.read(0, 4098) == b'\x5a' + bytes(4096) + b'\x5a'
        server('fail 95')
        assert client.call(WRITE_ZEROES, 0, 4096, flags=FAST_ZERO)[0] == ENOTSUP


def trims_round_inwards():
    with Server(MIB, 'sector=4096') as server, connected(server) as client:
        server('fill 0x5a')
        assert client.call(TRIM, 1, 4096)[0] == 0
        assert client.read(0, 8192) == b'\x5a' * 8192
        assert client.call(TRIM, 4095, 4098)[0] == 0
        assert client.read(0, 12288) == b'\x5a' * 4096 + bytes(4096) + b'\x5a' * 4096


def cookies_are_echoed_also_when_they_repeat():
    with Server() as server, connected(server) as client:
        for cookie in 0, 5, 5, (1 << 64) - 1:
            client.request(READ, 0, 512, cookie=cookie)
        found = [client.reply({0: 512, 5: 512, (1 << 64) - 1: 512})[0] for _ in range(4)]
        assert sorted(found) == [0, 5, 5, (1 << 64) - 1]


# ---- block status

def block_status_tells_data_from_holes():
    for mode in MODES[1:]:
        with Server() as server, connected(server, mode) as client:
            client.write(8192, b'd' * 4096)
            whole = [(8192, 3), (4096, 0), (MIB - 12288, 3)]
            assert client.call(BLOCK_STATUS, 0, MIB) == (0, whole)
            assert client.call(BLOCK_STATUS, 0, MIB, flags=REQ_ONE) == (0, [(8192, 3)])
            assert client.call(BLOCK_STATUS, 0, 100, flags=REQ_ONE) == (0, [(100, 3)])
            error, extents = client.call(BLOCK_STATUS, 100, 8192)
            assert error == 0 and extents[0] == (8092, 3) and extents[1][1] == 0, extents
            assert sum(length for length, _ in extents) >= 8192
            assert client.call(BLOCK_STATUS, MIB - 1, 1) == (0, [(1, 3)])


def block_status_needs_the_context_of_this_export():
    with Server() as server:
        with Client(server) as client:
            client.greet().structured().contexts(b'A').go(b'B')
            assert client.call(BLOCK_STATUS, 0, 512) == (EINVAL, None)
            assert client.read(0, 512) == bytes(512)
        with Client(server) as client:
            client.greet().structured().contexts(b'A').go(b'A')
            assert client.call(BLOCK_STATUS, 0, 512) == (0, [(512, 3)])
        with Client(server) as client:
            assert client.greet().option(SET_META, client.meta_data())[0][0] == ERR_INVALID
            client.go()
            assert client.call(BLOCK_STATUS, 0, 512) == (EINVAL, None)


def block_status_of_a_fragmented_disk_is_bounded():
    with Server(16 * MIB) as server:
        for mode in MODES[1:]:
            with connected(server, mode) as client:
                for start in range(0, 16 * MIB, 8 * MIB):
                    block = (b'x' * 512 + bytes(512)) * (8 * MIB // 1024)
                    client.write(start, block)
                at = count = 0
                while at < 16 * MIB:
                    error, extents = client.call(BLOCK_STATUS, at, 16 * MIB - at)
                    assert error == 0 and 0 < len(extents) <= 8192
                    assert all(length == 512 for length, _ in extents)
                    assert [flags for _, flags in extents[:2]] == [0, 3]
                    at += 512 * len(extents)
                    count += len(extents)
                assert count == 32 * 1024


# ---- extended headers

def extended_headers_serve_large_ranges():
    with Server() as server, Client(server) as client:
        client.greet().extended()
        assert client.option(STRUCTURED_REPLY)[0][0] == 0x8000000A
        client.contexts().go()
        assert client.call(WRITE_ZEROES, 0, 8 << 30)[0] == ENOSPC
        assert client.call(WRITE_ZEROES, 0, MIB)[0] == 0
        assert client.call(BLOCK_STATUS, 0, MIB) == (0, [(MIB, 3)])
        # A payload on a command that takes none is drained.
        client.send(struct.pack('>IHHQQQ', EXT_REQUEST, PAYLOAD_LEN, BLOCK_STATUS, 99, 0, 12),
                    bytes(12))
        assert client.reply({}) == (99, EINVAL, None)
        # A write without payload is none.
        client.send(struct.pack('>IHHQQQ', EXT_REQUEST, 0, WRITE, 98, 0, 512))
        assert client.reply({}) == (98, EINVAL, None)
        assert client.read(0, 512) == bytes(512)
        client.mode = 'structured'
        client.request(READ, 0, 512)
        client.send(bytes(4))
        client.expect_close()


# ---- the end of a stream

def disconnect_answers_what_is_outstanding():
    with Server() as server, connected(server) as client:
        server('hold 1')
        cookies = {client.request(READ, i * 512, 512): 512 for i in range(10)}
        client.disconnect()
        server.until_held(10)
        server('finish 10')
        found = sorted(client.reply(cookies)[0] for _ in cookies)
        assert found == sorted(cookies)
        client.expect_close()


def half_a_close_answers_what_is_outstanding():
    with Server() as server, connected(server) as client:
        server('hold 1')
        cookie = client.request(READ, 0, 512)
        client.sock.shutdown(socket.SHUT_WR)
        server.until_held(1)
        server('finish 1')
        assert client.reply({cookie: 512}) == (cookie, 0, bytes(512))
        client.expect_close()


def half_a_write_is_not_applied():
    for size in 1000, 200000:
        with Server() as server, connected(server) as other:
            server('fill 0x5a')
            with connected(server) as client:
                client.request(WRITE, 0, size, b'n' * (size - 1))
            server.until_clients(1)
            assert other.read(0, size) == b'\x5a' * size
            assert server.stats()['writes'] == 0


def random_bytes_end_the_connection():
    value = seed()
    generator = random.Random(value)
    with Server() as server:
        for _ in range(200):
            with connected(server, generator.choice(MODES)) as client:
                data = bytearray(generator.randbytes(generator.randrange(1, 4096)))
                if generator.random() < 0.5:
                    data[:4] = struct.pack('>I', generator.choice((REQUEST, EXT_REQUEST)))
                try:
                    client.send(bytes(data))
                    client.sock.shutdown(socket.SHUT_WR)
                    while client.sock.recv(MIB):
                        pass
                except OSError:
                    pass
        with connected(server) as client:
            client.read(0, 512)


main(tests_of(globals()))
