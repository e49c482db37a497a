"""Which identifiers to take out for those who are gone, and no more: whoever stays and shares one is not thrown out.

Removed by e-mail, else by phone, else by the full row; by EXTERN_ID only when nothing else is held, because Meta forgets that
mapping after 90 days (meta-graph-api.md §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from connector.audiences.digest_set import DigestSet, SpillingSet, identify, only, split
from connector.audiences.ledger_rows import MASK_ORDER, SEVERAL, hex_digests, kept_codes, rest_of
from connector.audiences.packing import keys_of_digests, keys_of_words, word_names
from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from connector.audiences.digest_set import Keys
    from connector.audiences.ledger import Ledger

STRONG: Final = ("EMAIL", "PHONE")
REST: Final = "rest"  # names and address of somebody who has neither e-mail nor phone
ID: Final = "EXTERN_ID"
_KEPT: Final = ("rest", *(word for names in SEVERAL.values() for code in names for word in word_names(code)[:2]))
_MOST_REMEMBERED: Final = 300_000  # leavers whose ledger rows are read once and kept


@dataclass(frozen=True, slots=True)
class Removal:
    """Rows of one schema to take out."""

    schema: tuple[str, ...]
    rows: Hashed


class Leavers:
    """Members who are gone, and what the ledger keeps of them."""

    def __init__(self, ledger: Ledger, numbers: NDArray[np.int64]) -> None:
        self.ledger = ledger
        self.numbers = numbers
        self._remembered: pl.DataFrame | None = None
        if 0 < len(numbers) <= _MOST_REMEMBERED:  # a few of each part: together they are looked through in one go
            self._remembered = pl.concat(ledger.details(numbers), how="diagonal")

    def __len__(self) -> int:
        return len(self.numbers)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give their ledger rows: part by part, or all at once."""
        yield from self.ledger.details(self.numbers) if self._remembered is None else (self._remembered,)


class Staying:
    """Which of the leavers' identifiers somebody else in the audience holds, or comes to hold by being added."""

    def __init__(self, leavers: Leavers) -> None:
        rows = len(leavers)
        few = rows <= _MOST_REMEMBERED
        some = lambda code: (code, DigestSet() if few else SpillingSet(rows=rows))  # noqa: E731
        self._asked = dict(map(some, (*STRONG, REST, ID)))
        self._kept = dict(map(some, (*STRONG, REST)))
        self._added = dict(map(some, (*STRONG, REST, ID)))
        for frame in leavers.frames():
            for code, keys in _strong_keys(frame):
                self._asked[code].put(keys)
            self._asked[REST].put(only(_rest_keys(frame["rest"]), _nameless(frame)))
            self._asked[ID].put(split(identify(frame, ["external_id"])))

    def keep_members(self, ledger: Ledger, numbers: NDArray[np.int64]) -> None:
        """Let what these members hold stay."""
        if any(len(self._asked[code]) for code in (*STRONG, REST)):
            for found in ledger.look_through(numbers, _KEPT, self._asked_of):
                for code, keys in found:
                    self._kept[code].put(keys)

    def _asked_of(self, frame: pl.DataFrame, staying: NDArray[np.bool_]) -> list[tuple[str, Keys]]:
        """Give what those who stay, of some ledger rows, hold of what the leavers hold."""
        held = [*_strong_keys(frame), (REST, _rest_keys(frame["rest"]))]
        return [(code, only(keys, self._asked[code].find(keys) & staying)) for code, keys in held]

    def keep_rows(self, hashed: Hashed) -> None:
        """Let what these rows, about to be added, hold stay: it is just added again."""
        for code in STRONG:
            if code in hashed.columns and len(self._asked[code]):
                self._keep(self._added, code, keys_of_digests(hashed[code]))
        if len(self._asked[REST]):
            self._keep(self._added, REST, _rest_keys(hashed["rest"]))
        if ID in hashed.columns and len(self._asked[ID]):
            self._keep(self._added, ID, split(identify(hashed, [ID])))

    def held(self, code: str, keys: Keys) -> NDArray[np.bool_]:
        """Tell for each identifier whether somebody still holds it."""
        return self._kept[code].find(keys) | self._added[code].find(keys)

    def returning(self, leavers: Leavers) -> NDArray[np.int64]:
        """Give the leavers who are only changed: somebody is added under their id, else e-mail, else phone, else names."""
        found = []
        for frame in leavers.frames():
            back, known = np.zeros(frame.height, dtype=bool), np.zeros(frame.height, dtype=bool)
            ids = split(identify(frame, ["external_id"]))
            for code, keys in ((ID, ids), *_strong_keys(frame), (REST, _rest_keys(frame["rest"]))):
                back |= ~known & self._added[code].find(keys)
                known |= keys[2]
            found.append(frame["number"].to_numpy()[back])
        return _numbers(found)

    def _keep(self, sets: Mapping[str, DigestSet], code: str, keys: Keys) -> None:
        sets[code].put(only(keys, self._asked[code].find(keys)))


@dataclass(frozen=True, slots=True)
class TakeOut:
    """How leavers are taken out.

    ``removals`` are the rows to send. ``hit`` numbers those of whom a row removes something; ``out`` those who are out then.
    ``shared`` are the others: somebody else holds one of their identifiers, and that one's own removal will take them out as
    well. ``lingering`` holds, as far as the ledger has them otherwise, the rows of those whom no later removal is sure to
    meet: without an e-mail, and their phone or their names are somebody else's too.
    """

    removals: list[Removal]
    hit: NDArray[np.int64]
    out: NDArray[np.int64]
    shared: NDArray[np.int64]
    lingering: list[pl.DataFrame]

    @property
    def rows(self) -> int:
        """How many rows to send."""
        return sum(removal.rows.height for removal in self.removals)


def plan_removals(leavers: Leavers, staying: Staying) -> TakeOut:
    """Work out the rows that take the leavers out, by schema; an identifier stands in them once."""
    removals: list[Removal] = []
    lingering: list[pl.DataFrame] = []
    hit, out, shared = [], [], []
    for frame in leavers.frames():
        fate = _Fate(frame, staying)
        removals += (removal for removal in fate.removals if removal.rows.height)
        hit.append(fate.numbers[fate.hit])
        out.append(fate.numbers[~fate.shared])
        shared.append(fate.numbers[fate.shared & ~fate.lingers])
        rows = fate.lingering(leavers.ledger.members.leaving)
        lingering += [rows] if rows.height else []
    return TakeOut(concat_removals(removals), _numbers(hit), _numbers(out), _numbers(shared), lingering)


class _Fate:
    """What is done about the leavers of one frame of ledger rows."""

    def __init__(self, frame: pl.DataFrame, staying: Staying) -> None:
        self.numbers = frame["number"].to_numpy()
        self._frame = frame
        emails, self._phones = _Cells(frame, "EMAIL", staying), _Cells(frame, "PHONE", staying)
        phones = self._phones
        nameless = ~(emails.there | phones.there)
        rest_held = nameless & staying.held(REST, _rest_keys(frame["rest"]))
        phones.only(~emails.there | emails.held)
        self.lingers = (~emails.there & phones.held) | rest_held
        self.shared = emails.held | self.lingers
        bare = nameless & ~rest_held
        self.hit = emails.goes | phones.goes | bare
        self.removals = [*emails.removals(), *phones.removals(), *_full_rows(frame.filter(pl.Series(bare)))]

    def lingering(self, leaving: NDArray[np.bool_]) -> pl.DataFrame:
        """Give the ledger rows of those who linger, without the phones that go; not those that linger so already."""
        new = self.lingers & (~leaving[self.numbers] | self._phones.goes)
        return self._phones.without(self._frame).filter(pl.Series(new)).drop("number")


class _Cells:
    """The e-mails or phones of a frame of leavers: which are there, which somebody else holds, which go."""

    def __init__(self, frame: pl.DataFrame, strong: str, staying: Staying) -> None:
        self._strong, self._frame = strong, frame
        self.there, self.held = np.zeros(frame.height, dtype=bool), np.zeros(frame.height, dtype=bool)
        self._going: dict[str, NDArray[np.bool_]] = {}
        for code in SEVERAL[strong]:
            if code in kept_codes(frame.columns):
                keys = keys_of_words(frame, code)
                held = staying.held(strong, keys)
                self.there |= keys[2]
                self.held |= held
                self._going[code] = keys[2] & ~held

    @property
    def goes(self) -> NDArray[np.bool_]:
        """Tell of whom at least one goes."""
        goes = np.zeros(self._frame.height, dtype=bool)
        for going in self._going.values():
            goes |= going
        return goes

    def only(self, rows: NDArray[np.bool_]) -> None:
        """Leave the others alone."""
        self._going = {code: going & rows for code, going in self._going.items()}

    def removals(self) -> Iterator[Removal]:
        """Give the identifiers that go."""
        for code, going in self._going.items():
            cells = hex_digests(self._frame.filter(pl.Series(going)), code).alias(self._strong)
            yield Removal((self._strong,), Hashed(cells.to_frame()))

    def without(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Blank the identifiers that go."""
        for code, going in self._going.items():
            stays = pl.Series(~going)
            frame = frame.with_columns(pl.when(stays).then(pl.col(word)).alias(word) for word in word_names(code))
        return frame


class Taken:
    """Identifiers that were asked to be taken out, whoever holds them (mode ``remove``)."""

    def __init__(self) -> None:
        self._by = {code: DigestSet() for code in (*STRONG, REST, ID)}

    def add_ids(self, ids: pl.Series) -> None:
        """Ask for everybody with one of these external ids."""
        self._by[ID].put(split(identify(ids.alias(ID).to_frame(), [ID])))

    def add(self, removals: Iterable[Removal]) -> None:
        """Note what these rows take out."""
        for removal in removals:
            if removal.schema[0] in STRONG:
                self._by[removal.schema[0]].put(keys_of_digests(removal.rows[removal.schema[0]]))
            else:
                self._by[REST].put(_rest_keys(rest_of(removal.rows)))

    def with_ids(self, ledger: Ledger) -> NDArray[np.int64]:
        """Number the members of a slice who have one of the external ids."""
        if not len(self._by[ID]):
            return _numbers([])
        frames = ledger.details(ledger.everyone(), ("external_id",))
        return _numbers(f["number"].to_numpy()[self._by[ID].find(split(identify(f, ["external_id"])))] for f in frames)

    def members(self, ledger: Ledger) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number the members of a slice of whom something is taken out, and those of whom nothing is left then."""
        hit, out = [], []
        for frame in ledger.details(ledger.everyone(), _KEPT):
            mine, whole = self._of_frame(frame)
            numbers = frame["number"].to_numpy()
            hit.append(numbers[mine])
            out.append(numbers[whole])
        return _numbers(hit), _numbers(out)

    def _of_frame(self, frame: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Every row of somebody holds an e-mail if there is any, and a phone: so it is out when all of either go.

        And every row holds the names and address.
        """
        hit, whole = np.zeros(frame.height, dtype=bool), np.zeros(frame.height, dtype=bool)
        there = {strong: np.zeros(frame.height, dtype=bool) for strong in STRONG}
        left = {strong: np.zeros(frame.height, dtype=bool) for strong in STRONG}
        for strong, keys in _strong_keys(frame):
            found = self._by[strong].find(keys)
            there[strong] |= keys[2]
            left[strong] |= keys[2] & ~found
            hit |= found
        for strong in STRONG:
            whole |= there[strong] & ~left[strong]
        by_names = self._by[REST].find(_rest_keys(frame["rest"]))
        return hit | by_names, whole | by_names


def removal_rows(hashed: Hashed) -> list[Removal]:
    """Take out people as they stand in ``hashed`` (mode ``remove``): by e-mail, else phone, else the full row."""
    found = []
    left: pl.DataFrame = hashed
    for code in STRONG:
        if code in left.columns:
            there = left.filter(pl.col(code).is_not_null())
            found.append(Removal((code,), Hashed(there.select(code))))
            left = left.filter(pl.col(code).is_null())
    rest = [code for code in MASK_ORDER if code in left.columns and code not in {*STRONG, ID, "MADID"}]
    rest = [code for code in rest if code not in {"LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"}]
    if rest:
        found.append(Removal(tuple(rest), Hashed(left.select(rest))))
    return concat_removals(found)


def concat_removals(parts: Iterable[Removal]) -> list[Removal]:
    """Put removals of the same schema together, each identifier once; those without any are left out."""
    found: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for part in parts:
        if part.rows.height:
            found.setdefault(part.schema, []).append(part.rows)
    return [
        Removal(schema, Hashed(pl.concat(frames).unique(maintain_order=True)))
        for schema, frames in sorted(found.items())
    ]


def first_rows(removals: list[Removal], limit: int | None) -> list[Removal]:
    """Keep at most ``limit`` rows in all."""
    if limit is None:
        return removals
    kept, left = [], limit
    for removal in removals:
        rows = Hashed(removal.rows.head(left))
        left -= rows.height
        kept.append(Removal(removal.schema, rows))
    return concat_removals(kept)


def _full_rows(bare: pl.DataFrame) -> Iterator[Removal]:
    """Take out people without e-mail and phone: by names and address, else by their id."""
    weak = [code for code in MASK_ORDER if code in kept_codes(bare.columns) and code not in STRONG]
    if weak and bare.height:
        rows = pl.DataFrame([hex_digests(bare, code) for code in weak])
        known = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        yield Removal(tuple(weak), Hashed(rows.filter(known)))
        bare = bare.filter(~known)
    yield Removal((ID,), Hashed(bare.select(pl.col("external_id").alias(ID)).drop_nulls()))


def _strong_keys(frame: pl.DataFrame) -> Iterator[tuple[str, Keys]]:
    """Give the e-mails and phones of ledger rows, e-mails first, column by column."""
    there = {column.rpartition("_")[0] for column in frame.columns}
    for strong, names in SEVERAL.items():
        for name in names:
            if name in there:
                yield strong, keys_of_words(frame, name)


def _nameless(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell who has neither e-mail nor phone."""
    nameless = np.ones(frame.height, dtype=bool)
    for _, keys in _strong_keys(frame):
        nameless &= ~keys[2]
    return nameless


def _rest_keys(rest: pl.Series) -> Keys:
    """Give names and address as a set looks them up."""
    words = rest.fill_null(0).to_numpy()
    return words, words.astype(np.uint32), rest.is_not_null().to_numpy()


def _numbers(parts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
