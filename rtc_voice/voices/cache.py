"""The voices that were made, kept for as long as they may be."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtc_voice.errors import InputError
from rtc_voice.voices.types import Voice

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE voices (
    participant TEXT NOT NULL, face INTEGER NOT NULL, embedding BLOB NOT NULL, f0_hz REAL NOT NULL,
    f0_range_semitones REAL NOT NULL, tract REAL NOT NULL, tilt_db REAL NOT NULL, made_s REAL NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (participant, face)
) STRICT
"""
_EMBEDDING_BYTES = 256 * 4


class VoiceCache:
    """Voices by participant and face, the least recently used dropped first, the old ones too.

    Without a ``path`` it lives in memory and ends with the object; with one it is an SQLite file that survives a
    restart. What is forgotten is overwritten there, not only unlinked.

    Threads: a lock guards every method, so any thread may call any of them. With a ``path`` each call touches the disk:
    keep it off the event loop.
    """

    def __init__(
        self,
        max_entries: int = 1000,
        *,
        max_age_s: float = 30 * 24 * 3600,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the cache.

        Args:
            max_entries: voices to keep at most.
            max_age_s: seconds after which a voice is dropped, counted from ``put``.
            path: file to keep them in, made readable by its owner only; None keeps them in memory.
            clock: seconds since the epoch (ages must survive a restart, so a monotonic clock will not do).

        Raises:
            InputError: a limit that keeps nothing, or a file that is no voice cache.
        """
        if max_entries < 1 or not max_age_s > 0:
            raise InputError(f"a cache of {max_entries} voices for {max_age_s} s keeps nothing", "give both above 0")
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._db = _open(path)

    def __len__(self) -> int:
        """Voices kept, those grown too old not counted."""
        with self._lock, self._db:
            self._drop_old()
            return int(self._db.execute("SELECT count(*) FROM voices").fetchone()[0])

    def put(self, participant: str, face: int, voice: Voice) -> None:
        """Keep ``voice`` for this face of this participant, in place of an earlier one."""
        embedding = np.asarray(voice.embedding, dtype="<f4").tobytes()
        assert len(embedding) == _EMBEDDING_BYTES
        numbers = (voice.f0_hz, voice.f0_range_semitones, voice.tract, voice.tilt_db, self._clock())
        with self._lock, self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO voices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (participant, face, embedding, *(float(number) for number in numbers), self._next_use()),
            )
            self._drop_old()
            self._db.execute(
                "DELETE FROM voices WHERE rowid NOT IN (SELECT rowid FROM voices ORDER BY used DESC LIMIT ?)",
                (self._max_entries,),
            )

    def get(self, participant: str, face: int) -> Voice | None:
        """The voice kept for this face; None where there is none or it has grown too old."""
        with self._lock, self._db:
            self._drop_old()
            key = (participant, face)
            row = self._db.execute(
                "SELECT embedding, f0_hz, f0_range_semitones, tract, tilt_db FROM voices "
                "WHERE participant = ? AND face = ?",
                key,
            ).fetchone()
            if row is None:
                return None
            self._db.execute("UPDATE voices SET used = ? WHERE participant = ? AND face = ?", (self._next_use(), *key))
        return Voice(np.frombuffer(row[0], dtype="<f4").astype(np.float32), *row[1:])

    def forget(self, participant: str, face: int | None = None) -> int:
        """Drop a participant's voice for one face, or all of theirs; returns how many there were."""
        with self._lock, self._db:
            cursor = self._db.execute(
                "DELETE FROM voices WHERE participant = ? AND (? IS NULL OR face = ?)", (participant, face, face)
            )
            return cursor.rowcount

    def close(self) -> None:
        """Close the file; the cache cannot be used afterwards."""
        with self._lock:
            self._db.close()

    def _drop_old(self) -> None:
        self._db.execute("DELETE FROM voices WHERE made_s <= ?", (self._clock() - self._max_age_s,))

    def _next_use(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(used), 0) + 1 FROM voices").fetchone()[0])


def _open(path: Path | None) -> sqlite3.Connection:
    """The database at ``path``, its table made where it is new."""
    try:
        if path is not None:
            path.touch(mode=0o600)  # a voice and whose it is are nobody else's business
        db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        try:
            _prepare(db)
        except Exception:
            db.close()
            raise
    except (sqlite3.DatabaseError, OSError) as error:
        raise InputError(f"{path} cannot be used as a voice cache: {error}", _REMEDY) from error
    return db


_REMEDY = "move the file away or name another: the voices are made again from the faces"


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA secure_delete = ON")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if is_new and version == 0:
        with db:
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    elif version != _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"its schema has version {version}, this program's is {_SCHEMA_VERSION}")
    elif (damage := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(damage)
