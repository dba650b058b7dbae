"""Server-sent events, as the bytes come: pieces of any size, cut anywhere."""

from __future__ import annotations

from typing import Final

_MARK: Final = b"\xef\xbb\xbf"


class Events:
    """Gives the data of each event that is complete. Names, ids and comments are skipped: what counts is in the data."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._is_first = True
        self._is_after_return = False

    def take(self, piece: bytes) -> list[bytes]:
        """The events that this piece completes. One that is never completed is never given."""
        if self._is_after_return and piece.startswith(b"\n"):
            piece = piece[1:]
            self._is_after_return = False
        if not piece:
            return []
        self._is_after_return = piece.endswith(b"\r")
        first, *others = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line += first
        found: list[bytes] = []
        for following in others:
            self._end_line(found)
            self._line += following
        return found

    def _end_line(self, found: list[bytes]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._is_first:
            line, self._is_first = line.removeprefix(_MARK), False
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            found.append(b"\n".join(self._data))
            self._data.clear()
