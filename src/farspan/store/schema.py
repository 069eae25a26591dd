"""The SQLite engine's tables and every SQL statement it runs, in one place.

A batch is one row of `log`. Its key packs the bus's number and the position of its first event
(`bus << 40 | position`), so that a bus's log is one contiguous range of the table's B-tree, and
reading on from a cursor is a range scan: 2^40 events for each of 2^23 buses.
"""

from __future__ import annotations

APPLICATION_ID = 0x46525350  # "FRSP"
FORMAT_VERSION = 4
"""1 had no trace headers in a batch's body, which is read as it is. 2 had no groups of timers, 3 no
mark of what was forwarded, without which a batch is read as it is."""

BUS_SHIFT = 40
POSITION_MASK = (1 << BUS_SHIFT) - 1

SCHEMA = """
CREATE TABLE bus (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    kept_end INTEGER NOT NULL DEFAULT 0   -- the log's end when it was last trimmed
);
CREATE TABLE log (
    key         INTEGER PRIMARY KEY,      -- bus number << 40 | position of the first event
    event_count INTEGER NOT NULL,
    call        BLOB NOT NULL,            -- the first 14 bytes of the batch's event ids
    accepted_at REAL NOT NULL,            -- seconds since the epoch, by the origin's clock
    origin      TEXT NOT NULL,            -- the Region that accepted it from a client
    stream      TEXT,                     -- the EndpointId it came through
    sequence    INTEGER NOT NULL,         -- of its first event, dense in (stream, origin)
    body        BLOB NOT NULL             -- msgpack array of envelopes (see reading.write_events)
);
CREATE UNIQUE INDEX log_call ON log (call, key >> 40);
CREATE INDEX log_stream ON log (stream, origin, sequence) WHERE stream IS NOT NULL;
CREATE TABLE stream (
    stream   TEXT NOT NULL,
    origin   TEXT NOT NULL,
    kept_end INTEGER NOT NULL,            -- the stream's end when it was last trimmed
    PRIMARY KEY (stream, origin)
) WITHOUT ROWID;
CREATE TABLE document (
    key     TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    value   BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE cursor (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE timer (
    put_order        INTEGER PRIMARY KEY,
    timers           TEXT NOT NULL,       -- the list
    key              BLOB NOT NULL,
    due              REAL NOT NULL,       -- seconds since the epoch
    claimed_due      REAL NOT NULL DEFAULT 0,  -- when it was due as it was last claimed, or parked
    claim_count      INTEGER NOT NULL DEFAULT 0,
    first_claimed_at REAL NOT NULL DEFAULT 0,
    body             BLOB NOT NULL
);
CREATE UNIQUE INDEX timer_key ON timer (timers, key);
CREATE INDEX timer_due ON timer (timers, due, put_order);
"""

GROUPS = """
ALTER TABLE timer ADD COLUMN group_name TEXT;  -- NULL where the list has no groups
CREATE INDEX timer_group ON timer (timers, group_name, put_order) WHERE group_name IS NOT NULL;
CREATE INDEX timer_group_due ON timer (timers, group_name, due) WHERE group_name IS NOT NULL;
CREATE TABLE token (
    timers     TEXT NOT NULL,             -- the list
    token      BLOB NOT NULL,
    held_until REAL NOT NULL,             -- seconds since the epoch
    note       BLOB NOT NULL,
    PRIMARY KEY (timers, token)
) WITHOUT ROWID;
CREATE INDEX token_held ON token (timers, held_until);
"""
"""What format 3 added. See `groups` for how a group's timers wait for each other."""

_BATCH = "key, call, accepted_at, origin, stream, sequence, body"


class Sql:
    """Every statement, by what it does."""

    APPEND = (
        "INSERT INTO log (key, event_count, call, accepted_at, origin, stream, sequence, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (call, key >> 40) DO NOTHING"
    )
    BATCH_OF_CALL = (
        "SELECT key, origin, CASE WHEN stream IS NULL THEN 0 ELSE sequence + event_count - 1 END "
        "FROM log WHERE call = ? AND key BETWEEN ? AND ?"
    )
    IS_CALL_KNOWN = "SELECT 1 FROM log WHERE call = ? LIMIT 1"
    STREAM_KEYS = (
        "SELECT sequence, event_count, call FROM log WHERE stream = ? AND origin = ? "
        "AND sequence BETWEEN ? AND ? ORDER BY sequence"
    )
    BUS_NUMBER = "SELECT number FROM bus WHERE name = ?"
    BUSES = "SELECT number, name FROM bus"
    BUSES_WITH_EVENTS = (
        "SELECT name FROM bus WHERE kept_end > 0 OR EXISTS "
        "(SELECT 1 FROM log WHERE key BETWEEN number << ? AND number << ? | ?) ORDER BY name"
    )
    TABLE_COUNT = "SELECT count(*) FROM sqlite_schema"
    ADD_BUS = "INSERT INTO bus (name) VALUES (?)"
    LAST_BATCH = (
        "SELECT key, event_count FROM log WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"
    )
    KEPT_LOG_END = "SELECT kept_end FROM bus WHERE number = ?"
    KEEP_LOG_END = "UPDATE bus SET kept_end = ? WHERE number = ?"
    LAST_OF_STREAM = (
        "SELECT sequence, event_count FROM log WHERE stream = ? AND origin = ? "
        "ORDER BY sequence DESC LIMIT 1"
    )
    KEPT_STREAM_END = "SELECT kept_end FROM stream WHERE stream = ? AND origin = ?"
    KEEP_STREAM_ENDS = (
        "INSERT INTO stream (stream, origin, kept_end) "
        "SELECT stream, origin, max(sequence + event_count - 1) FROM log "
        "WHERE key BETWEEN ? AND ? AND stream IS NOT NULL GROUP BY stream, origin "
        "ON CONFLICT (stream, origin) DO UPDATE SET kept_end = max(kept_end, excluded.kept_end)"
    )
    TRIM_UP_TO = (
        "SELECT max(key) FROM (SELECT key FROM log WHERE key >= ? AND key < ? "
        "AND key + event_count <= ? ORDER BY key LIMIT ?)"
    )
    TRIM = "DELETE FROM log WHERE key BETWEEN ? AND ?"
    STREAM_START = (
        "SELECT sequence FROM log WHERE stream = ? AND origin = ? ORDER BY sequence LIMIT 1"
    )
    LOG_KEY_AT = "SELECT key FROM log WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"
    READ_LOG = f"SELECT {_BATCH} FROM log WHERE key BETWEEN ? AND ? ORDER BY key"  # noqa: S608
    STREAM_AT = (
        "SELECT sequence FROM log WHERE stream = ? AND origin = ? AND sequence <= ? "
        "ORDER BY sequence DESC LIMIT 1"
    )
    READ_STREAM = (
        f"SELECT {_BATCH} FROM log WHERE stream = ? AND origin = ? AND sequence >= ? "  # noqa: S608
        "ORDER BY sequence"
    )
    FIRST_ACCEPTED_FROM = (
        "SELECT key FROM log WHERE key BETWEEN ? AND ? AND accepted_at >= ? ORDER BY key LIMIT 1"
    )
    DOCUMENT_VERSION = "SELECT version FROM document WHERE key = ?"
    DOCUMENTS_FROM = "SELECT key, version, value FROM document WHERE key >= ? ORDER BY key"
    PUT_DOCUMENT = (
        "INSERT INTO document (key, version, value) VALUES (?, 1, ?) ON CONFLICT (key) "
        "DO UPDATE SET version = version + 1, value = excluded.value RETURNING version"
    )
    DELETE_DOCUMENT = "DELETE FROM document WHERE key = ?"
    CURSOR = "SELECT position FROM cursor WHERE name = ?"
    MOVE_CURSOR = "INSERT OR REPLACE INTO cursor (name, position) VALUES (?, ?)"
    PUT_TIMER = (
        "INSERT INTO timer (timers, key, due, body, claimed_due, claim_count, first_claimed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (timers, key) DO NOTHING"
    )
    CLAIM = (
        "UPDATE timer SET claimed_due = due, due = ?, claim_count = claim_count + 1, "
        "first_claimed_at = CASE first_claimed_at WHEN 0 THEN ? ELSE first_claimed_at END "
        "WHERE put_order IN (SELECT put_order FROM timer WHERE timers = ? AND due <= ? "
        "ORDER BY due, put_order LIMIT ?) "
        "RETURNING key, due, claim_count, first_claimed_at, body, put_order, claimed_due"
    )
    # In this order of the join: by the index of keys for each row, not through the list.
    ACK_TIMERS = (
        "WITH ack (timers, key, claim) AS (VALUES (?, ?, ?)) "
        "DELETE FROM timer WHERE put_order IN (SELECT put_order FROM ack CROSS JOIN timer "
        "ON timer.timers = ack.timers AND timer.key = ack.key "
        "WHERE claim IS NULL OR claim_count = claim)"
    )
    MOVE_TIMER = (
        "UPDATE timer SET due = ?, body = ifnull(?, body) "
        "WHERE timers = ? AND key = ? AND (? IS NULL OR claim_count = ?)"
    )
    DROP_TIMERS = "DELETE FROM timer WHERE timers = ?"
    READ_TIMERS = (
        "SELECT key, due, claim_count, first_claimed_at, body, put_order FROM timer "
        "WHERE timers = ? AND (due, put_order) > (?, ?) AND due < ? ORDER BY due, put_order"
    )
    MEASURE_TIMERS = "SELECT count(*), ifnull(sum(length(body)), 0) FROM timer WHERE timers = ?"
    FORGET_ALL = "DELETE FROM token WHERE timers = ?"
    NEXT_DUE = (
        "SELECT due FROM timer WHERE timers = ? AND due > ? AND due < 9e999 ORDER BY due LIMIT 1"
    )
    # The total comes from an index, and what is not due is mostly little: no list is read whole.
    COUNT_TIMERS = "SELECT count(*) FROM timer WHERE timers = ?"
    COUNT_NOT_DUE = (
        "SELECT sum(claim_count > 0), sum(claim_count = 0) FROM timer "
        "WHERE timers = ?1 AND due > ?2 AND (due < 9e999 OR claimed_due > ?2)"
    )
    OLDEST_DUE = (
        "SELECT put_order, group_name FROM timer WHERE timers = ? AND due <= ? "
        "ORDER BY due, put_order LIMIT ?"
    )
    REMOVE_TIMER = "DELETE FROM timer WHERE put_order = ?"
    HELD_NOTE = "SELECT note FROM token WHERE timers = ? AND token = ? AND held_until > ?"
    HOLD = "INSERT OR REPLACE INTO token (timers, token, held_until, note) VALUES (?, ?, ?, ?)"
    FORGET = (
        "DELETE FROM token WHERE timers = ? AND token IN "
        "(SELECT token FROM token WHERE timers = ? AND held_until <= ? LIMIT 2)"
    )
    PUT_IN_GROUP = (
        "INSERT INTO timer (timers, group_name, key, due, claimed_due, body) "
        "SELECT ?1, ?2, ?3, CASE WHEN EXISTS (SELECT 1 FROM timer WHERE timers = ?1 "
        "AND group_name = ?2) THEN 9e999 ELSE ?4 END, ?4, ?5 "
        "WHERE true ON CONFLICT (timers, key) DO NOTHING"
    )
    OPEN_GROUPS = (
        "SELECT group_name FROM timer AS first WHERE timers = ?1 AND due <= ?2 "
        "AND NOT EXISTS (SELECT 1 FROM timer WHERE timers = ?1 "
        "AND group_name = first.group_name AND put_order < first.put_order) "
        "AND NOT EXISTS (SELECT 1 FROM timer WHERE timers = ?1 "
        "AND group_name = first.group_name AND due > ?2 AND due < 9e999 AND claim_count > 0) "
        "ORDER BY due, put_order LIMIT ?3"
    )
    FIRST_OF_GROUP = (
        "SELECT put_order, CASE due WHEN 9e999 THEN claimed_due ELSE due END FROM timer "
        "WHERE timers = ? AND group_name = ? ORDER BY put_order LIMIT ?"
    )
    CLAIM_ONE = (
        "UPDATE timer SET claimed_due = ?, due = ?, claim_count = claim_count + 1, "
        "first_claimed_at = CASE first_claimed_at WHEN 0 THEN ? ELSE first_claimed_at END "
        "WHERE put_order = ? RETURNING key, due, claim_count, first_claimed_at, body"
    )
    ACK_IN_GROUP = (
        "DELETE FROM timer WHERE timers = ? AND key = ? AND (? IS NULL OR claim_count = ?) "
        "RETURNING group_name"
    )
    OPEN_FIRST = (
        "UPDATE timer SET due = claimed_due WHERE due = 9e999 AND put_order = (SELECT put_order "
        "FROM timer WHERE timers = ? AND group_name = ? ORDER BY put_order LIMIT 1)"
    )
    MARK_COPY = "INSERT OR IGNORE INTO document (key, version, value) VALUES (?, 1, x'')"
    IS_MARKED = "SELECT 1 FROM document WHERE key = ?"
    STREAM_ENDS = "SELECT stream, origin, kept_end FROM stream"
    EVERY_BATCH = "SELECT key, event_count, body FROM log ORDER BY key"
    EVERY_SEQUENCE = (
        "SELECT stream, sequence, event_count FROM log WHERE origin = ? AND stream IS NOT NULL "
        "ORDER BY stream, sequence"
    )
    EVERY_CURSOR = "SELECT name, position FROM cursor"
    EVERY_TIMER = "SELECT timers, key, body FROM timer ORDER BY timers, put_order"
    COUNTS = (
        "SELECT (SELECT ifnull(sum(event_count), 0) FROM log), (SELECT count(*) FROM bus), "
        "(SELECT count(*) FROM timer)"
    )
