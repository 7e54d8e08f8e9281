"""Where the records of TLS end, in whatever pieces they come."""

from __future__ import annotations

import pytest

from gateway.server.records import BATCH, HEADER, LONGEST, Records

LENGTHS = (0, 1, 2, 7, 0, 0, 300, 1)


def record(length: int, kind: int = 23) -> bytes:
    return bytes([kind]) + b"\3\3" + length.to_bytes(2, "big") + b"\xff" * length


STREAM = b"".join(record(length) for length in LENGTHS)
ENDS = [sum(HEADER + length for length in LENGTHS[: number + 1]) for number in range(len(LENGTHS))]


def find_all(records: Records, piece: bytes, most: int, come: int) -> list[tuple[int, int]]:
    """Return where each step ended in the stream, of which `come` bytes came before, and how many records with it."""
    at, found = 0, []
    while at < len(piece):
        end, ended = records.find(piece, at, most)
        assert at < end <= len(piece)
        assert ended <= most
        at = end
        found.append((come + at, ended))
    return found


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_every_two_cuts_find_every_end(most: int) -> None:
    for first in range(len(STREAM) + 1):
        for second in range(first, len(STREAM) + 1, 3):
            records, seen, come = Records(), 0, 0
            for piece in (STREAM[:first], STREAM[first:second], STREAM[second:]):
                for end, ended in find_all(records, piece, most, come):
                    seen += ended
                    assert seen == sum(place <= end for place in ENDS)
                    if ended == most:
                        assert end == ENDS[seen - 1]  # it stops where the last of them ends
                come += len(piece)
            assert seen == len(LENGTHS)


@pytest.mark.parametrize("size", range(1, 12))
def test_pieces_of_one_size_find_every_end(size: int) -> None:
    records, seen = Records(), 0
    for come in range(0, len(STREAM), size):
        for end, ended in find_all(records, STREAM[come : come + size], 64, come):
            seen += ended
            assert seen == sum(place <= end for place in ENDS)
    assert seen == len(LENGTHS)


def test_small_records_are_found_together_and_large_ones_alone() -> None:
    small, large = record(100), record(16384)
    assert Records().find(small * 10, 0, 64) == (10 * len(small), 10)
    assert Records().find(large * 3, 0, 64) == (len(large), 1)
    assert Records().find(large * 3, len(large), 64) == (2 * len(large), 1)
    many = small * 500
    end, ended = Records().find(many, 0, 1000)
    assert end == ended * len(small)
    assert BATCH <= end < BATCH + len(small)


def test_nothing_is_found_in_nothing() -> None:
    assert Records().find(b"", 0, 64) == (0, 0)


@pytest.mark.parametrize("first", range(128, 256))
def test_what_begins_high_is_no_record(first: int) -> None:
    records = Records()
    assert records.find(record(3), 0, 64) == (8, 1)
    with pytest.raises(ValueError, match="not a record"):
        records.find(bytes([first]), 0, 64)


def test_a_record_that_is_too_long_ends_with_its_header() -> None:
    header = b"\x17\3\3" + (LONGEST + 1).to_bytes(2, "big")
    assert Records().find(header + b"xx", 0, 1) == (HEADER, 1)
    longest = b"\x17\3\3" + LONGEST.to_bytes(2, "big")
    assert Records().find(longest + b"xx", 0, 1) == (HEADER + 2, 0)
