"""Sockets that the gateway listens on: bound by the parent, before there are workers."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Any

from gateway.errors import StartError
from gateway.settings import Listen, ListenerSettings, Problem, Settings, place


def bind_many(listener: ListenerSettings, key: str, number: int) -> list[socket.socket]:
    """Bind a listening socket for each worker: TCP sockets of their own on one address, or one unix socket for all.

    The caller closes them. Raises `StartError` naming the key to change.
    """
    first = bind(listener.address, key, mode=listener.mode, group=listener.group)
    if number == 1 or listener.unix_path:
        return [first] * number
    # it was free: bound without SO_REUSEPORT, with which another gateway would share it unnoticed
    address, family = first.getsockname()[:2], first.family
    first.close()
    return [_open_tcp(address, family, reuse_port=True) for _ in range(number)]


def bind(listen: Listen, key: str, *, mode: int | None = None, group: str = "") -> socket.socket:
    """Bind a listening socket; the caller closes it. Raises `StartError` naming the key to change.

    `mode` and `group` are those of a unix socket's file; without, they are as the process makes files.
    """
    group_id = _find_group(group, key) if group else -1
    try:
        return _bind_unix(Path(listen.unix_path), mode, group_id) if listen.unix_path else _bind_tcp(listen)
    except OSError as error:
        # Python's own words for it have the address once more
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise StartError(f"{key}: cannot listen on {listen}: {reason}. {_advise(error, listen, key)}") from None


def _advise(error: OSError, listen: Listen, key: str) -> str:
    """Say what to do about an address that cannot be bound."""
    folder = Path(listen.unix_path).parent
    if listen.unix_path and error.errno in {errno.ENOENT, errno.ENOTDIR}:
        below_run = folder.relative_to("/run") if folder.is_relative_to("/run") and folder != Path("/run") else None
        by_systemd = f"`RuntimeDirectory={below_run}` in its systemd unit does that, or " if below_run else ""
        return f"Make the folder {folder} first: {by_systemd}`mkdir -p {folder}`, owned by who runs the gateway."
    if listen.unix_path and error.errno in {errno.EACCES, errno.EROFS}:
        return f"Who runs the gateway must be allowed to write into {folder}."
    if error.errno == errno.EACCES:
        return "Ports below 1024 need the right to (`AmbientCapabilities=CAP_NET_BIND_SERVICE` in a systemd unit)."
    return f"Stop what uses it, or choose another with `{key}`."


def find_strange_groups(settings: Settings) -> tuple[Problem, ...]:
    """Return the groups of unix sockets that this machine does not know: perhaps the one that serves does."""
    admin = (settings.admin.listen,) if settings.admin.listen is not None else ()
    asked = {"listen": settings.listen, "admin.listen": admin, "forward_auth.listen": settings.forward_auth.listen}
    found: list[Problem] = []
    for key, listeners in asked.items():
        for each in listeners:
            try:
                if each.group:
                    _find_group(each.group, key)
            except StartError as error:
                found.append(place(settings, key, f"{str(error).removeprefix(f'{key}: ')}; here, it would not start"))
    return tuple(found)


def _bind_tcp(listen: Listen) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return _open_tcp(address[:2], family)


def _open_tcp(address: tuple[Any, ...], family: int, *, reuse_port: bool = False) -> socket.socket:
    """Open a listening socket; `[::]` takes both families, as everywhere but in the C library's defaults."""
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, backlog=2048, reuse_port=reuse_port, dualstack_ipv6=both)


def _find_group(group: str, key: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError(f"{key}: there is no group called {group}: see /etc/group, or write its number") from None


def _bind_unix(path: Path, mode: int | None, group_id: int) -> socket.socket:
    # a socket left behind by a process that died is in the way; anything else at that path is not ours to remove
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            if _is_answered(path):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        try:
            if group_id >= 0:
                os.chown(path, -1, group_id)
            if mode is not None:
                path.chmod(mode)
            listener.listen(2048)  # nobody connects before its file is as it should be
        except OSError:
            path.unlink()
            raise
    except OSError:
        listener.close()
        raise
    return listener


def _is_answered(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except (TimeoutError, BlockingIOError):  # too busy to answer, so there
            return True
    return True


def remove_socket(path: Path, inode: int) -> None:
    """Remove a socket of ours, unless another has taken its place."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()
