"""A port that a test has been given is nobody else's."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from tests.ports import free_port


def test_a_port_is_held_for_those_who_are_told_it() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    for _ in range(2):  # and after a restart
        with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()


def test_who_asks_for_any_port_gets_another() -> None:
    """The kernel tries ports at random: here from a range of one, which is held."""
    option = getattr(socket, "IP_LOCAL_PORT_RANGE", 51)  # since Linux 6.3
    port = free_port()
    with contextlib.closing(socket.socket()) as asking:
        try:
            asking.setsockopt(socket.IPPROTO_IP, option, struct.pack("I", port << 16 | port))
        except OSError:
            pytest.skip("needs Linux 6.3")
        with pytest.raises(OSError, match="Address already in use"):
            asking.bind(("127.0.0.1", 0))
