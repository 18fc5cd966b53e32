"""What a database holds, read by one query: which jobs have a row, and whether that is whole."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .job import CHECKSUM_BYTES, DIGEST_BYTES

__all__ = ["ABSENT", "UNSOUND", "RowIndex"]

ABSENT, UNSOUND = -2, -1
"""In place of the size of a row: there is none; it is of another version, or its checksum does not fit."""
QUERY = "SELECT address, version, numbers, checksum FROM cells"
PART_ROWS = 100_000


class RowIndex:
    """The addresses of all rows in a database, with the sizes of those that are whole; 20 bytes a row.

    Every row is read once and its checksum is computed. Of an address 16 of the 32 bytes are kept.

    Parameters
    ----------
    connection : sqlite3.Connection
    version : str
        That the rows must have.
    """

    def __init__(self, connection: sqlite3.Connection, version: str) -> None:
        addresses: list[NDArray[Any]] = []
        sizes: list[NDArray[np.int32]] = []
        some_addresses: list[bytes] = []
        some_sizes: list[int] = []

        def put_away() -> None:
            whole = np.frombuffer(b"".join(some_addresses), ">u8").reshape(-1, DIGEST_BYTES // 8)
            addresses.append(whole[:, :2].astype(np.uint64))
            sizes.append(np.array(some_sizes, dtype=np.int32))
            some_addresses.clear()
            some_sizes.clear()

        for address, its_version, numbers, checksum in connection.execute(QUERY):
            if type(address) is not bytes or len(address) != DIGEST_BYTES:
                continue  # the row of no job
            some_addresses.append(address)
            some_sizes.append(_size(address, its_version, numbers, checksum, version))
            if len(some_sizes) == PART_ROWS:
                put_away()
        put_away()
        table, self._sizes = np.concatenate(addresses), np.concatenate(sizes)
        self._first, self._second = np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])

    def __len__(self) -> int:
        return len(self._sizes)

    def sizes(self, digests: bytes) -> NDArray[np.int64]:
        """The bytes of numbers in the row of each digest; `ABSENT` or `UNSOUND` where there is no such."""
        wanted = np.frombuffer(digests, ">u8").reshape(-1, DIGEST_BYTES // 8)[:, :2].astype(np.uint64)
        found = np.full(len(wanted), ABSENT, np.int64)
        place = np.searchsorted(self._first, wanted[:, 0])
        left = np.arange(len(wanted))
        while True:  # more than once where two addresses begin alike
            left = left[place[left] < len(self)]
            left = left[self._first[place[left]] == wanted[left, 0]]
            if not left.size:
                return found
            same = self._second[place[left]] == wanted[left, 1]
            found[left[same]] = self._sizes[place[left[same]]]
            left = left[~same]
            place[left] += 1


def _size(address: bytes, its_version: Any, numbers: Any, checksum: Any, version: str) -> int:
    if its_version != version or type(numbers) is not bytes:
        return UNSOUND
    content = b"%b%b\0%b" % (address, version.encode(), numbers)
    whole = hashlib.blake2b(content, digest_size=CHECKSUM_BYTES).digest() == checksum
    return len(numbers) if whole else UNSOUND
