"""Which identifiers to take out for those who are gone, each once, and no more than nobody else holds.

Removed by e-mail, else by phone, else by the full row; by EXTERN_ID only when nothing else is held, because Meta forgets that
mapping after 90 days (meta-graph-api.md §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from connector.audiences.digest_set import identify, split
from connector.audiences.ledger_rows import MASK_ORDER, SEVERAL, hex_digests, kept_codes
from connector.audiences.packing import keys_of_words, word_names
from connector.audiences.removal_rows import ID, STRONG, Removal
from connector.audiences.removals import REST, rest_keys
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys
    from connector.audiences.removals import Leavers, Staying

_BITS: Final = {name: 1 << place for place, name in enumerate((*SEVERAL["EMAIL"], *SEVERAL["PHONE"], REST, ID))}
_PHONES: Final = sum(_BITS[name] for name in SEVERAL["PHONE"])


@dataclass(slots=True)
class TakeOut:
    """How leavers are taken out: per leaver, in the order of ``leavers.frames()``, what goes and whether it is enough.

    ``goes`` has a bit for each of its identifiers that goes, as ``_BITS`` numbers them; ``sent`` for those of them that no
    leaver before it has, so that each is sent once. ``held``: somebody else holds one of its identifiers. ``lingers``: and no
    later removal is sure to meet it, for it has no e-mail, and its phone or its names are somebody else's too. Ten million
    leavers take 90 MB here; as rows to send they would take a gigabyte.
    """

    leavers: Leavers
    numbers: NDArray[np.uint32]
    goes: NDArray[np.uint8]
    sent: NDArray[np.uint8]
    held: NDArray[np.bool_]
    lingers: NDArray[np.bool_]
    begins_to_linger: NDArray[np.bool_]
    heights: dict[tuple[str, ...], int] = field(default_factory=dict)

    @classmethod
    def blank(cls, leavers: Leavers) -> TakeOut:
        """Begin with nobody worked out."""
        rows = len(leavers)
        goes, sent = (np.zeros(rows, dtype=np.uint8) for _ in range(2))
        held, lingers, begins = (np.zeros(rows, dtype=bool) for _ in range(3))
        return cls(leavers, np.zeros(rows, dtype=np.uint32), goes, sent, held, lingers, begins)

    @property
    def hit(self) -> NDArray[np.uint32]:
        """Number those of whom a row removes something."""
        hit: NDArray[np.bool_] = self.goes != 0
        return self.numbers[hit]

    @property
    def out(self) -> NDArray[np.uint32]:
        """Number those who are out then."""
        return self.numbers[~self.held & ~self.lingers]

    @property
    def shared(self) -> NDArray[np.uint32]:
        """Number those who share an identifier with somebody whose own removal will take them out as well."""
        return self.numbers[self.held & ~self.lingers]

    @property
    def rows(self) -> int:
        """How many rows to send."""
        return sum(self.heights.values())

    @property
    def removals(self) -> list[Removal]:
        """The rows to send, by schema; an identifier stands in them once."""
        return [Removal(one, height, partial(self._rows_of, one)) for one, height in sorted(self.heights.items())]

    def lingering(self) -> Iterator[pl.DataFrame]:
        """Give, of those who linger, what the ledger has of them: without the phones that go, and not if they linger so already."""
        if self.begins_to_linger.any():
            for frame, here in self._frames():
                rows = _without(frame, self.goes[here]).filter(pl.Series(self.begins_to_linger[here])).drop("number")
                if rows.height:
                    yield rows

    def _rows_of(self, schema: tuple[str, ...]) -> Iterator[Hashed]:
        for frame, here in self._frames():
            yield from _removed(frame, self.sent[here], schema)

    def _frames(self) -> Iterator[tuple[pl.DataFrame, slice]]:
        start = 0
        for frame in self.leavers.frames():
            yield frame, slice(start, start + frame.height)
            start += frame.height


def plan_removals(leavers: Leavers, staying: Staying) -> TakeOut:
    """Work out what takes the leavers out."""
    once, start = _Once(leavers), 0
    plan = TakeOut.blank(leavers)
    for frame in leavers.frames():
        here = slice(start, start + frame.height)
        start = here.stop
        fate = _Fate(frame, staying)
        plan.numbers[here], plan.goes[here] = fate.numbers, fate.goes
        plan.held[here], plan.lingers[here] = fate.held, fate.lingers
        plan.sent[here] = once.of(frame, fate.goes)
        # Not those who linger so already, unless phones go.
        plan.begins_to_linger[here] = fate.lingers & (
            ~leavers.ledger.members.leaving[fate.numbers] | (fate.goes & _PHONES != 0)
        )
    plan.heights |= once.heights
    leavers.numbers = plan.numbers  # the same, and not held twice
    return plan


class _Once:
    """Which of the identifiers that go nobody before had: counted, by the schema they are sent with."""

    def __init__(self, leavers: Leavers) -> None:
        self.heights: dict[tuple[str, ...], int] = {}
        self._seen = {code: leavers.digest_set() for code in (*STRONG, REST, ID)}

    def of(self, frame: pl.DataFrame, goes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give of the bits of a frame's identifiers those that nobody had before."""
        sent = np.zeros_like(goes)
        for code, bit, schema, keys in _identifiers(frame):
            asked = (keys[0], keys[1], keys[2] & (goes & bit != 0))
            first = asked[2] & ~self._seen[code].find(asked)
            first[np.flatnonzero(first)] = _firsts(asked[0][first])
            self._seen[code].put((asked[0], asked[1], first))
            sent[first] |= bit
            if first.any():
                self.heights[schema] = self.heights.get(schema, 0) + int(first.sum())
        return sent


class _Fate:
    """What is done about the leavers of one frame of ledger rows."""

    def __init__(self, frame: pl.DataFrame, staying: Staying) -> None:
        self.numbers = frame["number"].to_numpy()
        nobody = np.zeros(frame.height, dtype=bool)
        there, held = (dict.fromkeys((*STRONG, REST, ID), nobody) for _ in range(2))
        free: list[tuple[str, int, NDArray[np.bool_]]] = []
        for code, bit, _, keys in _identifiers(frame):
            others = keys[2] & staying.held(code, keys) if code != ID else nobody
            there[code] = there[code] | keys[2]
            held[code] = held[code] | others
            free.append((code, bit, keys[2] & ~others))
        nameless = ~(there["EMAIL"] | there["PHONE"])
        may_go = {
            "EMAIL": ~nobody,
            "PHONE": ~there["EMAIL"] | held["EMAIL"],
            REST: nameless,
            ID: nameless & ~there[REST],
        }
        self.goes = np.zeros(frame.height, dtype=np.uint8)
        for code, bit, going in free:
            self.goes[going & may_go[code]] |= bit
        self.lingers = (~there["EMAIL"] & held["PHONE"]) | (nameless & held[REST])
        self.held = held["EMAIL"]


def _kinds(frame: pl.DataFrame) -> Iterator[tuple[str, int, str, tuple[str, ...]]]:
    """Name what ledger rows can be taken out by: the key, its bit, the digest's own name, the schema it is sent with."""
    there = kept_codes(frame.columns)
    for strong, names in SEVERAL.items():
        yield from ((strong, _BITS[name], name, (strong,)) for name in names if name in there)
    yield REST, _BITS[REST], REST, tuple(code for code in MASK_ORDER if code in there and code not in STRONG)
    yield ID, _BITS[ID], ID, (ID,)


def _identifiers(frame: pl.DataFrame) -> Iterator[tuple[str, int, tuple[str, ...], Keys]]:
    """Give what ledger rows can be taken out by: the key, its bit, the schema it is sent with, and the cells as a set's."""
    for code, bit, name, schema in _kinds(frame):
        if code == ID:
            keys = split(identify(frame, ["external_id"]))
        else:
            keys = rest_keys(frame["rest"]) if code == REST else keys_of_words(frame, name)
        yield code, bit, schema, keys


def _removed(frame: pl.DataFrame, sent: NDArray[np.uint8], schema: tuple[str, ...]) -> Iterator[Hashed]:
    """Give the rows of one schema that take out what is ``sent`` of ledger rows."""
    for code, bit, name, its_schema in _kinds(frame):
        if its_schema == schema and (sent & bit).any():
            rows = frame.filter(pl.Series(sent & bit != 0))
            if code == ID:
                yield Hashed(rows.select(pl.col("external_id").alias(ID)))
            elif code == REST:
                yield Hashed(pl.DataFrame([hex_digests(rows, weak) for weak in schema]))
            else:
                yield Hashed(hex_digests(rows, name).alias(code).to_frame())


def _without(frame: pl.DataFrame, goes: NDArray[np.uint8]) -> pl.DataFrame:
    """Blank the phones that go."""
    for name in set(SEVERAL["PHONE"]) & set(kept_codes(frame.columns)):
        stays = pl.Series(goes & _BITS[name] == 0)
        frame = frame.with_columns(pl.when(stays).then(pl.col(word)).alias(word) for word in word_names(name))
    return frame


def _firsts(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which keys do not stand earlier in the same column."""
    firsts = np.ones(len(keys), dtype=bool)
    if pl.Series(keys).n_unique() < len(keys):
        firsts[:] = False
        firsts[np.unique(keys, return_index=True)[1]] = True
    return firsts
