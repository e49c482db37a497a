"""Ten thousand rows at once: find the cells of a JSON body with numpy, check them, and turn them into members.

The quick way is taken only for rows it can vouch for: text cells without escapes, laid out as JSON writers do. For anything
else ``lift_rows`` says so and the rows go cell by cell through ``cells``; both ways give the same answer.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from connector.sandbox.cells import (
    HASHED,
    OPTIONS,
    SAMPLES,
    VALUE,
    Checked,
    fault_in,
    print_of_bytes,
    words_of,
)
from connector.sandbox.members import Digests, Prints, Rows

Bytes: TypeAlias = NDArray[np.uint8]
Places: TypeAlias = NDArray[np.int64]
Marks: TypeAlias = NDArray[np.bool_]

OPENING = re.compile(rb'"data"[ ]?:[ ]?\[\[(?=")')
# What stands in the remaining JSON where the rows were lifted out.
PLACE = "\x00rows"
PLACE_JSON = b'"\\u0000rows"'
QUOTE, COMMA, SPACE, OPEN, CLOSE, TILDE = b'", []~'
ENDING = np.frombuffer(b'"]', np.uint8)
HASH_LENGTH = 64
# Keys that are not hashed and still have a form to keep.
NOT_ANY_TEXT = frozenset({"MADID", VALUE})


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows still in the body they came in: where each cell starts and how long it is, both (rows, columns).

    ``text`` ends in as many zeros as a hash is long.
    """

    text: Bytes
    starts: Places
    lengths: Places

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.starts.shape
        return rows, columns

    def as_lists(self) -> list[list[str]]:
        """Give the rows as texts, for the exact way of ``cells``."""
        held = self.text.tobytes()
        ends = (self.starts + self.lengths).tolist()
        starts = self.starts.tolist()
        return [
            [held[at:end].decode() for at, end in zip(row, stops, strict=True)]
            for row, stops in zip(starts, ends, strict=True)
        ]


def lift_rows(body: bytes) -> tuple[bytes, Cells | None]:
    """Take the rows out of a JSON body; return the rest, with ``PLACE`` instead of them, and the rows.

    Returns the body as it is and ``None`` when the rows are not laid out plainly.
    """
    opening = OPENING.search(body)
    if opening is None:
        return body, None
    start = opening.end()
    before = body[: opening.start()]
    # An even number of quotes before it and no escape: "data" is a name here and not part of some text.
    if b"\\" in before or before.count(b'"') % 2:
        return body, None
    # The last "]]" is nearly always the end of the rows and quick to find; the first one is the other candidate.
    for end in (body.rfind(b"]]", start), body.find(b"]]", start)):
        cells = _find_cells(body, start, end) if end > start else None
        if cells is not None:
            name = body[opening.start() : start - 2]
            return before + name + PLACE_JSON + body[end + 2 :], cells
    return body, None


def _find_cells(body: bytes, start: int, end: int) -> Cells | None:
    # Zeros behind the text are what blank cells are read from.
    padded = np.zeros(end - start + HASH_LENGTH, np.uint8)
    text = padded[: end - start]
    text[:] = np.frombuffer(body, np.uint8, end - start, start)
    if body.find(b"\\", start, end) >= 0 or bool((text < SPACE).any()):
        return None
    if bool((text > TILDE).any()) and not _is_utf8(body[start:end]):
        return None
    quotes = np.flatnonzero(text == QUOTE)
    if len(quotes) < 2 or len(quotes) % 2 or quotes[0] != 0 or quotes[-1] != len(text) - 1:
        return None
    starts, ends = quotes[0::2] + 1, quotes[1::2]
    between = starts[1:] - ends[:-1] - 2
    breaks = between >= 3
    if not _are_separators(text, ends[:-1], between, breaks):
        return None
    rows = int(breaks.sum()) + 1
    columns, rest = divmod(len(starts), rows)
    if rest or not np.array_equal(np.flatnonzero(breaks), np.arange(1, rows) * columns - 1):
        return None
    return Cells(padded, starts.reshape(rows, columns), (ends - starts).reshape(rows, columns))


def _is_utf8(region: bytes) -> bool:
    try:
        region.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_separators(text: Bytes, ends: Places, between: Places, breaks: Marks) -> bool:
    """Check that what stands between two cells is ``,`` in a row and ``],[`` between rows, with or without one space."""
    cell_ends, cell_gaps = ends[~breaks], between[~breaks]
    row_ends, row_gaps = ends[breaks], between[breaks]
    if not bool(((cell_gaps == 1) | (cell_gaps == 2)).all()) or not bool(((row_gaps == 3) | (row_gaps == 4)).all()):
        return False
    wide_cells, wide_rows = cell_ends[cell_gaps == 2], row_ends[row_gaps == 4]
    return bool(
        (text[cell_ends + 1] == COMMA).all()
        and (text[wide_cells + 2] == SPACE).all()
        and (text[row_ends + 1] == CLOSE).all()
        and (text[row_ends + 2] == COMMA).all()
        and (text[wide_rows + 3] == SPACE).all()
        and (text[row_ends + row_gaps] == OPEN).all()
    )


def can_check(keys: tuple[str, ...]) -> bool:
    """Say whether the quick way knows these keys: options are lists, so they go cell by cell."""
    return not any(key in OPTIONS for key in keys)


def check_rows(keys: tuple[str, ...], cells: Cells, *, digests: bool) -> Checked:
    """Check lifted rows, lower-case hashes only. ``cells`` must have as many columns as there are keys."""
    count, columns = cells.shape
    blank = cells.lengths == 0
    bad = np.zeros((count, columns), np.bool_)
    prints: dict[str, Prints] = {}
    texts: dict[str, Bytes] = {}
    for place, key in enumerate(keys):
        starts, lengths = cells.starts[:, place], cells.lengths[:, place]
        if key in HASHED:
            texts[key], prints[key], bad[:, place] = _read_hashes(cells.text, starts, lengths)
        else:
            texts[key], prints[key], bad[:, place] = _read_plain(key, cells.text, starts, lengths)
    bad &= ~blank
    names_nobody = blank[:, [place for place, key in enumerate(keys) if key != VALUE]].all(axis=1)
    wrong = bad.any(axis=1) | names_nobody
    if not wrong.any():
        rows = Rows(prints, _digests(keys, texts, cells.lengths) if digests else None, count)
        return Checked(rows, count, 0)
    good = np.flatnonzero(~wrong)
    kept = {key: column[good] for key, column in prints.items()}
    hashes = _digests(keys, {key: text[good] for key, text in texts.items()}, cells.lengths[good]) if digests else None
    return Checked(Rows(kept, hashes, len(good)), count, count - len(good), _samples(cells, wrong, bad))


def _read_hashes(text: Bytes, starts: Places, lengths: Places) -> tuple[Bytes, Prints, Marks]:
    """Read one column of 64 lower-case hex digits: the text (rows, 64), the prints, and which cells are wrong."""
    full = lengths == HASH_LENGTH
    whole = bool(full.all())
    # One window of 64 bytes per place in the text, without a copy; where there is no hash, the zeros at the end are read.
    windows = np.ndarray((len(text) - HASH_LENGTH + 1,), "V64", text.data, strides=(1,))
    places = starts if whole else np.where(full, starts, len(text) - HASH_LENGTH)
    found = windows[places].view(np.uint8).reshape(-1, HASH_LENGTH)
    ten, six = np.uint8(10), np.uint8(6)
    proper = ((found - np.uint8(0x30)) < ten) | ((found - np.uint8(0x61)) < six)
    wrong: Marks = ~full
    if not whole or not bool(proper.all()):
        wrong = ~np.asarray(proper.all(axis=1))
    head = found[:, :16]
    nibbles = (head & np.uint8(15)) + np.uint8(9) * (head >> np.uint8(6))
    octets = (nibbles[:, 0::2] << np.uint8(4)) | nibbles[:, 1::2]
    prints = np.ascontiguousarray(octets).view(">u8").reshape(-1).astype(np.uint64)
    prints[prints == 0] = 1
    if not whole:
        prints[~full] = 0
    return found, prints, wrong


def _read_plain(key: str, text: Bytes, starts: Places, lengths: Places) -> tuple[Bytes, Prints, Marks]:
    """Read one column of other text: padded with zeros to its longest cell, the prints, and which cells are wrong."""
    held = text.tobytes()
    cells = [held[at : at + length] for at, length in zip(starts.tolist(), lengths.tolist(), strict=True)]
    prints = np.fromiter(map(print_of_bytes, cells), np.uint64, len(cells))
    prints[lengths == 0] = 0
    wrong = np.zeros(len(cells), np.bool_)
    if key in NOT_ANY_TEXT:
        wrong[:] = [bool(cell) and fault_in(key, cell.decode(), strict_case=True) for cell in cells]
    width = max(1, int(lengths.max()))
    return np.array(cells, f"S{width}").view(np.uint8).reshape(-1, width), prints, wrong


def _digests(keys: tuple[str, ...], texts: dict[str, Bytes], lengths: Places) -> Digests:
    """Hash the canonical JSON of every row: write all rows as wide as the widest, zeros for what is not there; drop those."""
    count = len(lengths)
    if count == 0:
        return np.zeros((0, 4), np.uint64)
    places = sorted(range(len(keys)), key=lambda place: keys[place])
    heads = {place: np.frombuffer(f',["{keys[place]}","'.encode(), np.uint8) for place in places}
    width = sum(len(heads[place]) + texts[keys[place]].shape[1] + 2 for place in places) + 1
    written = np.empty((count, width), np.uint8)
    sizes = np.ones(count, np.int64)
    at = 0
    for place in places:
        text, there = texts[keys[place]], lengths[:, place] != 0
        body = at + len(heads[place])
        end = body + text.shape[1]
        written[:, at:body] = heads[place]
        written[:, body:end] = text
        written[:, end : end + 2] = ENDING
        if not there.all():
            written[~there, at : end + 2] = 0
        sizes += there * (len(heads[place]) + 2) + lengths[:, place]
        at = end + 2
    written[:, at] = CLOSE
    ends = np.cumsum(sizes)
    # No cell holds a zero byte: they were refused as control characters.
    flat = bytearray(written.reshape(-1).data)
    if ends[-1] != len(flat):
        flat = flat.translate(None, b"\0")
    np.frombuffer(flat, np.uint8)[ends - sizes] = OPEN
    held = memoryview(flat)
    cuts = zip((ends - sizes).tolist(), ends.tolist(), strict=True)
    return words_of([hashlib.sha256(held[start:end]).digest() for start, end in cuts])


def _samples(cells: Cells, wrong: Marks, bad: Marks) -> dict[str, str]:
    samples: dict[str, str] = {}
    for row in np.flatnonzero(wrong)[:SAMPLES].tolist():
        places = np.flatnonzero(bad[row])
        text = b""
        if len(places):
            start, length = int(cells.starts[row, places[0]]), int(cells.lengths[row, places[0]])
            text = cells.text[start : start + length].tobytes()
        samples[str(row)] = text.decode()[:64]
    return samples
