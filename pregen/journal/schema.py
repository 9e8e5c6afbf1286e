"""The journal's tables, version by version. SQL and nothing else.

A new version is a script more in `MIGRATIONS`; those that were released never change. Each runs
in a transaction of its own. `PRAGMA user_version` counts the scripts a file has been through.
The SQL is for SQLite 3.34, which some systems still give to Python 3.11 (so no STRICT tables).

Times are nanoseconds since 1970, paths are the bytes the walk found.
"""

from __future__ import annotations

from typing import Final

#: "Pgen" as a big-endian number: tells our file from other SQLite files (`PRAGMA application_id`).
APPLICATION_ID: Final = 0x5067656E

#: Outcomes of which there are many and nobody asks for by kind. The index leaves them out, and a
#: query that shall use the index must repeat this condition to the letter.
OF_NOTE: Final = "kind NOT IN ('made', 'refitted', 'reused', 'tidied')"

_VERSION_1: Final = f"""
PRAGMA application_id = {APPLICATION_ID};

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,          -- NULL while it goes on, and for ever when it was killed
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    cwd BLOB NOT NULL,
    arguments TEXT NOT NULL,      -- JSON list
    exit_code INTEGER,
    counts TEXT,                  -- JSON object: sources by kind, skips included
    bytes_read INTEGER,
    bytes_written INTEGER,
    entries_written INTEGER,
    wall_ns INTEGER               -- by a clock that nobody sets
);

-- The last outcome of every source. Without rowid: a million sources take 176 MB instead of 230,
-- are written in 7.5 s instead of 13.9, and looked up in 4.2 us instead of 4.7.
CREATE TABLE sources (
    path BLOB NOT NULL PRIMARY KEY,
    size_bytes INTEGER NOT NULL,  -- as planned: what the next walk will compare
    mtime_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    loader TEXT NOT NULL,
    mime TEXT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    entries_written INTEGER NOT NULL,
    bytes_written INTEGER NOT NULL,
    bytes_read INTEGER NOT NULL,
    read_ns INTEGER NOT NULL,
    decode_ns INTEGER NOT NULL,
    resize_ns INTEGER NOT NULL,
    encode_ns INTEGER NOT NULL,
    commit_ns INTEGER NOT NULL,
    worker_pid INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    seen_at_ns INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sources_of_note ON sources (kind) WHERE kind NOT IN ('made', 'refitted', 'tidied');
"""

#: One row for each folder: a re-run over 100,000 sources asks 100 times instead of 100,000.
_VERSION_2: Final = """
CREATE TABLE folders (
    path BLOB NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,        -- of the pregen that judged the entries
    flavors TEXT NOT NULL,        -- the wanted ones, in the order of the stamps
    names BLOB NOT NULL,          -- of the sources, a zero byte between two
    facts BLOB NOT NULL           -- packed, see journal/folders.py
);
"""

#: What entries are made of. Whole seconds: copies lose the rest on many file systems.
_VERSION_3: Final = f"""
CREATE TABLE fingerprints (
    size_bytes INTEGER NOT NULL,
    mtime_s INTEGER NOT NULL,
    run_id INTEGER NOT NULL,      -- to find the latest first
    key BLOB NOT NULL,            -- 16 bytes: the md5 of the entries' URI
    fingerprint TEXT NOT NULL,    -- as the entries say it, see thumbspec/fingerprint.py
    PRIMARY KEY (size_bytes, mtime_s, run_id, key)
) WITHOUT ROWID;

-- The caches whose entries have been asked for what the table does not know.
CREATE TABLE surveys (
    cache BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

DROP INDEX sources_of_note;
CREATE INDEX sources_of_note ON sources (kind) WHERE {OF_NOTE};
"""

MIGRATIONS: Final[tuple[str, ...]] = (_VERSION_1, _VERSION_2, _VERSION_3)
