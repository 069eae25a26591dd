"""A text in the first bytes of a body, however the body comes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.health.body import SEARCHED_BYTES, Body, Search

TEXT = "all is well"
ENCODINGS = ["", "identity", "gzip", "x-gzip", "deflate", "raw deflate"]


def packed(content: bytes, encoding: str) -> bytes:
    """Return a body as a server would send it."""
    if "gzip" in encoding:
        return gzip.compress(content, mtime=0)
    if encoding == "deflate":
        return zlib.compress(content)
    if encoding == "raw deflate":
        return zlib.compress(content)[2:-4]
    return content


def searched(content: bytes, encoding: str = "", piece_bytes: int = 7) -> Search:
    """Return how the search stands once the whole body came in pieces."""
    sent, body = packed(content, encoding), Body(TEXT, encoding.removeprefix("raw "))
    search = Search.OPEN
    for at in range(0, len(sent), piece_bytes):
        search = body.feed(sent[at : at + piece_bytes])
        if search is not Search.OPEN:
            break
    return search


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (0, Search.FOUND),
        (SEARCHED_BYTES - len(TEXT), Search.FOUND),
        (SEARCHED_BYTES - len(TEXT) + 1, Search.MISSING),
        (SEARCHED_BYTES, Search.MISSING),
    ],
)
def test_the_whole_text_stands_in_the_first_bytes(
    encoding: str, before: int, expected: Search
) -> None:
    """Its last byte is the 5,120th at the latest, of what the body unpacks to."""
    assert expected is searched(b"-" * before + TEXT.encode() + b"-" * 9_000, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_that_ends_without_it(encoding: str) -> None:
    """The search stays open: who knows that nothing follows decides."""
    assert Search.OPEN is searched(b"all is wel", encoding)


def test_case_counts_and_text_is_utf_8() -> None:
    """SearchString is sought as it is written."""
    assert Search.OPEN is Body("OK").feed(b"ok")
    assert Search.FOUND is Body("gr\u00fcn").feed("alles gr\u00fcn".encode())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_cannot_be_unpacked(encoding: str) -> None:
    """A body that is not what it says has no text, and more of it brings none."""
    body = Body(TEXT, encoding)

    assert Search.MISSING is body.feed(b"\xff" * 100)
    assert Search.MISSING is body.feed(TEXT.encode())


def test_an_unknown_encoding_is_searched_as_it_is() -> None:
    """Nothing is guessed."""
    assert Search.FOUND is Body(TEXT, "br").feed(TEXT.encode())


def test_a_bomb_is_not_unpacked() -> None:
    """A gigabyte of zeros in a megabyte costs no more than the bytes that are looked at."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    sent = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    body = Body(TEXT, "gzip")
    tracemalloc.start()
    search = body.feed(sent)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert Search.MISSING is search
    assert peak_bytes < 1 << 20


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate"]), st.integers(1, 50))
def test_any_bytes_are_taken(sent: bytes, encoding: str, piece_bytes: int) -> None:
    """Whatever a server sends, the answer is one of three and never an exception."""
    body = Body(TEXT, encoding)
    for at in range(0, len(sent), piece_bytes):
        assert body.feed(sent[at : at + piece_bytes]) in Search
