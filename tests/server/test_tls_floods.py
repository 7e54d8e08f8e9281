"""Records of TLS that cost more than they weigh: none holds others up, has answers pile up, or has anything kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.server.tls import MOST_IN_ONE_GO, MOST_WITHOUT_DATA
from tests.certificates import issue
from tests.server.forged import ALERT, GOODBYE, HIGH_WATER, USER_CANCELED, Forged, guard_of

pytestmark = pytest.mark.anyio
READ = 256 * 1024  # bytes, at most, that the event loop hands on at once
ANSWER = 64  # bytes, at most, of an answer to a key update


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issue("127.0.0.1").write(tmp_path_factory.mktemp("forged")))
    return context


@pytest.fixture
async def forged(context: ssl.SSLContext, tmp_path: Path) -> Forged:
    return Forged(context, guard_of(), tmp_path).shake_hands()


# Records that bring nothing

Barren = Callable[[Forged], bytes]
KINDS: dict[str, Barren] = {
    "empty": lambda forged: forged.empty(),
    "padded": lambda forged: forged.record(23, b"", padding=5000),
    "key update": lambda forged: forged.update(),
    "key update, to be answered": lambda forged: forged.update(answered=True),
    "alert": lambda forged: forged.record(ALERT, USER_CANCELED),
}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_so_many_records_without_data_in_a_row_end_the_connection(
    forged: Forged, kind: str, at_once: bool
) -> None:
    records = [KINDS[kind](forged) for _ in range(MOST_WITHOUT_DATA + 1)]
    for piece in [b"".join(records)] if at_once else records:
        assert not forged.wire.closing or kind == "alert"  # of which OpenSSL takes fewer
        forged.transport.data_received(piece)
        await forged.settle()
    assert forged.wire.closing
    assert not forged.above.told


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "alert"])
async def test_fewer_are_part_of_the_protocol(forged: Forged, kind: str) -> None:
    for number in range(5):
        barren = [KINDS[kind](forged) for _ in range(MOST_WITHOUT_DATA - 1)]
        forged.transport.data_received(b"".join(barren) + forged.data(b"%d" % number))
        await forged.settle()
    assert forged.above.data == b"01234"
    assert not forged.wire.closing


# Answers that nobody takes


def interleave(forged: Forged, times: int) -> bytes:
    """Have many answered, each with a byte of data."""
    return b"".join(forged.update(answered=True) + forged.data(b"x") for _ in range(times))


async def test_who_takes_no_answers_is_not_heard_until_it_does(forged: Forged) -> None:
    forged.wire.full = True
    sent = taken = 0
    while forged.wire.reading and sent < 20_000:
        forged.transport.data_received(interleave(forged, 2000))
        sent += 2000
        await forged.settle()
    assert not forged.wire.reading
    assert HIGH_WATER < len(forged.wire.written) <= HIGH_WATER + MOST_IN_ONE_GO * ANSWER
    assert len(forged.above.data) < sent
    assert 0 < forged.guard.most <= READ  # what was read counts as what waits
    while taken != len(forged.above.data):
        taken = len(forged.above.data)
        forged.wire.drain()
        await forged.settle()
    assert forged.above.data == b"x" * sent
    assert forged.wire.reading
    assert forged.guard.now == 0


async def test_a_drip_that_takes_no_answers_is_not_read_on(forged: Forged) -> None:
    forged.wire.full = True
    drips = 0
    while forged.wire.reading and drips < 20_000:
        forged.transport.data_received(interleave(forged, 1))
        drips += 1
    await forged.settle()
    assert not forged.wire.reading
    assert len(forged.wire.written) <= HIGH_WATER + ANSWER


async def test_a_slow_client_that_asks_for_no_answer_is_read_on(forged: Forged) -> None:
    """It may be sending a body while it has much to take."""
    forged.wire.full = True
    forged.transport.write(b"x" * (HIGH_WATER + 1))
    assert forged.wire.paused
    for _ in range(10):
        forged.transport.data_received(forged.update() + forged.data(b"y"))
    await forged.settle()
    assert forged.wire.reading
    assert forged.above.data == b"y" * 10


# Turns


async def test_many_small_records_take_turns_with_others(context: ssl.SSLContext, tmp_path: Path) -> None:
    guard = guard_of()
    one, another = (Forged(context, guard, tmp_path).shake_hands() for _ in range(2))
    order: list[str] = []
    one.above.data_received = lambda data: order.append("one")  # type: ignore[method-assign]
    another.above.data_received = lambda data: order.append("another")  # type: ignore[method-assign]
    many = b"".join(one.data(b"x") for _ in range(10_000))[:READ]
    asyncio.get_running_loop().call_soon(one.transport.data_received, many)
    asyncio.get_running_loop().call_soon(another.transport.data_received, another.data(b"y"))
    await asyncio.sleep(0)
    await one.settle()
    assert order[:2] == ["one", "another"]
    assert len(order) > 100


async def test_one_turn_decrypts_so_many_records(forged: Forged) -> None:
    sent = b"".join(forged.data(bytes([number % 251])) for number in range(1000))
    forged.transport.data_received(sent)
    assert not forged.wire.reading
    await forged.settle()
    assert forged.wire.reading
    assert [len(part) for part in forged.above.told] == [MOST_IN_ONE_GO] * 15 + [40]
    assert forged.above.data == bytes(number % 251 for number in range(1000))


async def test_large_records_are_handed_on_in_one_piece(forged: Forged) -> None:
    sent = b"".join(forged.data(bytes([number]) * 16384) for number in range(20))
    forged.transport.data_received(sent[:READ])
    assert len(forged.above.told) == 1
    forged.transport.data_received(sent[READ:])
    assert forged.above.data == b"".join(bytes([number]) * 16384 for number in range(20))
    assert forged.wire.reading


async def test_what_waits_counts_for_its_address(context: ssl.SSLContext, tmp_path: Path) -> None:
    guard = guard_of(most_waiting=50_000)
    one, another = (Forged(context, guard, tmp_path).shake_hands() for _ in range(2))
    for each in (one, another):
        each.transport.pause_reading()
        each.transport.data_received(b"".join(each.data(b"x") for _ in range(1500)))
    assert not one.wire.closing
    assert another.wire.closing
    for each in (one, another):
        each.transport.connection_lost(None)
    assert guard.note_waiting(one.transport, 50_000, "192.0.2.7")  # all is given back


async def test_what_was_read_in_spite_of_the_pause_counts_too(context: ssl.SSLContext, tmp_path: Path) -> None:
    guard = guard_of(most_waiting=50_000)
    forged = Forged(context, guard, tmp_path).shake_hands()
    for _ in range(2):
        assert not forged.wire.closing
        forged.transport.data_received(b"".join(forged.data(b"x") for _ in range(1500)))
    assert forged.wire.closing


async def test_what_was_read_in_spite_of_the_pause_comes_after_what_waits(forged: Forged) -> None:
    for letter in (b"a", b"b"):
        forged.transport.data_received(b"".join(forged.data(letter) for _ in range(200)))
    await forged.settle()
    assert forged.above.data == b"a" * 200 + b"b" * 200


async def test_a_reader_that_has_paused_gets_no_more(forged: Forged) -> None:
    forged.transport.data_received(b"".join(forged.data(b"x") for _ in range(1000)))
    forged.transport.pause_reading()
    told = len(forged.above.told)
    await forged.settle()
    assert len(forged.above.told) == told
    assert not forged.transport.is_reading()
    forged.transport.resume_reading()
    await forged.settle()
    assert forged.wire.reading
    assert forged.above.data == b"x" * 1000


# Pieces


async def test_records_in_two_pieces_cut_anywhere(context: ssl.SSLContext, tmp_path: Path) -> None:
    size = 1
    cut = 0
    while cut < size:
        forged = Forged(context, guard_of(), tmp_path).shake_hands()
        records = (
            forged.data(b"a" * 9),
            forged.update(answered=True),
            forged.empty(),
            forged.data(b"b"),
            forged.update(),
        )
        sent = b"".join(records) + forged.data(b"c" * 20) + forged.record(ALERT, GOODBYE) + b"never decrypted"
        size = len(sent)
        for piece in (sent[:cut], sent[cut:]):
            forged.transport.data_received(piece)
        assert forged.above.data == b"a" * 9 + b"b" + b"c" * 20
        assert forged.above.ends == 1
        assert forged.wire.closing
        assert forged.wire.take()  # the answer, and the goodbye
        cut += 1


async def test_records_byte_by_byte(forged: Forged) -> None:
    sent = forged.data(b"a" * 300) + forged.update() + forged.data(b"b")
    for byte in sent:
        forged.transport.data_received(bytes([byte]))
    assert forged.above.data == b"a" * 300 + b"b"


async def test_nothing_is_heard_after_a_goodbye(forged: Forged) -> None:
    forged.above.talks_on = True
    forged.transport.data_received(forged.data(b"a") + forged.record(ALERT, GOODBYE) + forged.data(b"b" * 9000) * 40)
    forged.transport.data_received(forged.data(b"c") * 1000)
    assert forged.above.data == b"a"
    assert forged.above.ends == 1
    assert forged.guard.most == 0
    assert not forged.wire.closing


@pytest.mark.parametrize("length", [16 * 1024 + 2049, 65535])
async def test_a_record_that_is_too_long_is_refused_by_its_header(forged: Forged, length: int) -> None:
    forged.transport.data_received(b"\x17\3\3" + length.to_bytes(2, "big"))
    assert forged.wire.closing
    assert forged.wire.take()  # the alert


# Handshakes


async def test_a_hello_in_the_form_of_ssl_2_is_not_taken(context: ssl.SSLContext, tmp_path: Path) -> None:
    forged = Forged(context, guard_of(), tmp_path)
    forged.transport.data_received(b"\x80\x2e\x01\x03\x03\0\x15\0\0\0\x10" + bytes(37))
    assert forged.wire.closing


async def test_plain_http_is_refused_at_once(context: ssl.SSLContext, tmp_path: Path) -> None:
    forged = Forged(context, guard_of(), tmp_path)
    forged.transport.data_received(b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")
    assert forged.wire.closing


def cut_hello(hello: bytes, size: int) -> list[bytes]:
    """Put a hello into records of so many bytes (RFC 8446 §5.1)."""
    content = hello[5:]
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return [b"\x16\3\1" + len(piece).to_bytes(2, "big") + piece for piece in pieces]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_hello_in_a_few_records_is_taken(context: ssl.SSLContext, tmp_path: Path, at_once: bool) -> None:
    forged = Forged(context, guard_of(), tmp_path)
    hello = cut_hello(forged.say(), 20)
    assert 10 < len(hello) < MOST_WITHOUT_DATA
    for piece in [b"".join(hello)] if at_once else hello:
        forged.transport.data_received(piece)
    forged.transport.data_received(forged.say())
    assert not forged.wire.closing
    assert forged.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert not forged.above.told


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("flood", ["hello", "alerts", "change cipher spec"])
async def test_a_handshake_of_so_many_records_is_refused(
    context: ssl.SSLContext, tmp_path: Path, flood: str, at_once: bool
) -> None:
    forged = Forged(context, guard_of(), tmp_path)
    hello = forged.say()
    pieces = {
        "hello": cut_hello(hello, 1)[: MOST_WITHOUT_DATA + 1],
        "alerts": [b"\x15\3\3\0\2" + USER_CANCELED] * (MOST_WITHOUT_DATA + 1),
        "change cipher spec": [hello] + [b"\x14\3\3\0\1\1"] * (MOST_WITHOUT_DATA + 1),
    }[flood]
    for piece in [b"".join(pieces)] if at_once else pieces:
        forged.transport.data_received(piece)
    assert forged.wire.closing
