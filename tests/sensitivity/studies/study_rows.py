"""What tests see of the database of a study, and how they spoil it."""

import sqlite3
from contextlib import closing

from sensitivity.studies.storage.store import Store

COLUMNS = "address, version, numbers, checksum"


def connected(folder):
    return closing(sqlite3.connect(Store(folder).path, isolation_level=None))


def rows_in(folder):
    """Every cell of a study: address → version, numbers, checksum; none where there is no database yet."""
    try:
        with Store(folder).reading() as connection:
            found = connection.execute(f"SELECT {COLUMNS} FROM cells").fetchall()
        return {key.hex() if isinstance(key, bytes) else repr(key): tuple(row) for key, *row in found}
    except FileNotFoundError:
        return {}


def contents(folder):
    """Everything that a study stores but what was set aside."""
    return {**rows_in(folder), "description": Store(folder).described()}


def set_aside_in(folder):
    """Rows that were set aside: address → reason, version, numbers, checksum."""
    with connected(folder) as connection:
        found = connection.execute(f"SELECT address, reason, {COLUMNS[9:]} FROM set_aside").fetchall()
    return {row[0].hex(): row[1:] for row in found}


def cells_in(folder):
    return len(rows_in(folder))


def change(folder, cell, **columns):
    """Put other values into the row of a cell, whatever its checksum says."""
    with connected(folder) as connection:
        for column, value in columns.items():
            done = connection.execute(
                f"UPDATE cells SET {column} = ? WHERE address = ?", (value, cell.digest)
            )
            assert done.rowcount == 1


def put(folder, cell, row):
    change(folder, cell, version=row[0], numbers=row[1], checksum=row[2])


def remove(folder, cell):
    with connected(folder) as connection:
        connection.execute("DELETE FROM cells WHERE address = ?", (cell.digest,))
