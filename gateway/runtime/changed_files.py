"""Whether files have another content than before: looked at now and then (polling).

A look costs a `stat` a file, through symbolic links. So it sees whatever way a file may change, and on every mount: a
new file under the old name, a write in place, a link that leads elsewhere (Kubernetes changes `..data`), on network and
overlay mounts too, where the kernel tells nobody (inotify). A file that was written just before it was read may be
written again within the same tick of its clock: until that is past, its content is looked at (as git does).
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

TICK: Final = 0.25
"""Seconds between two looks; what two of them find the same has settled."""
PATIENCE: Final = 20
"""Looks after which what still changes is taken as it is."""
_FRESH: Final = 2_000_000_000
"""Nanoseconds for which a file may be written again without a later time (FAT has 2 s, all others less)."""


class _Seen(NamedTuple):
    status: object  # what tells one writing of the file from another
    digest: bytes
    certain: bool  # the same status means the same content


class ChangedFiles:
    """Files, and what they had in them when that was noted."""

    def __init__(self) -> None:
        self._seen: dict[Path, _Seen] = {}
        self._noted: dict[Path, bytes] = {}
        self._unsettled: Mapping[Path, bytes] = {}
        self._looks = 0  # in which they have changed and not settled

    @property
    def known(self) -> Collection[Path]:
        """Those that are looked at."""
        return self._noted.keys()

    def note(self, paths: Iterable[Path]) -> None:
        """Take what these files, and no others, have in them now for known; to be called before they are read."""
        self._noted = {path: self._read(path) for path in paths}
        self._seen = {path: self._seen[path] for path in self._noted}
        self._unsettled, self._looks = {}, 0

    def look_after(self, paths: Collection[Path]) -> bool:
        """Know these files, and no others; whether some of them were not known. Those that were stay as noted."""
        more = [path for path in paths if path not in self._noted]
        self._noted = {path: self._noted[path] if path in self._noted else self._read(path) for path in paths}
        return bool(more)

    def have_changed(self, but: Collection[Path] = ()) -> bool:
        """Look; whether some have changed, `but` for these, and then stayed the same from one look to the next."""
        found = {path: self._read(path) for path in self._noted if path not in but}
        if all(self._noted[path] == digest for path, digest in found.items()):
            self._unsettled, self._looks = {}, 0
            return False
        settled = found == self._unsettled
        self._unsettled, self._looks = found, self._looks + 1
        return settled or self._looks >= PATIENCE

    def _read(self, path: Path) -> bytes:
        """Return what stands for a file's content; of one that cannot be read, why."""
        began = time.time_ns()
        try:
            found = path.stat()
            status = found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
            seen = self._seen.get(path)
            if seen is None or not seen.certain or seen.status != status:
                written = max(found.st_mtime_ns, found.st_ctime_ns)
                seen = self._seen[path] = _Seen(status, _digest(path, found.st_mode), written < began - _FRESH)
        except OSError as error:
            seen = self._seen[path] = _Seen(None, str(error.errno).encode(), certain=False)
        return seen.digest


def _digest(path: Path, mode: int) -> bytes:
    if stat.S_ISDIR(mode):  # a file that comes, or goes
        return "\n".join(sorted(os.listdir(path))).encode(errors="surrogateescape")
    if not stat.S_ISREG(mode):  # what is read from a pipe is gone for whoever is to have it
        return b"no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
