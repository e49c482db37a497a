"""One value, every step: what ``connector explain`` shows.

The value comes from :func:`connector.profiles.normalise.normalise` and the digest from
:func:`connector.hashing.hash_columns`, the code an export runs; the steps are the rule's own, taken one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from connector.errors import ConfigError, did_you_mean
from connector.hashing import hash_columns
from connector.profiles.cleaning import Step, is_sha256
from connector.profiles.match_keys import PLAIN, MatchKey, find_match_key, known_names
from connector.profiles.normalise import Normaliser, normalise, prepare, reasons
from connector.profiles.places import COUNTRY
from connector.profiles.rules import Settings, rule_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step that changed the value, and the value after it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of one value.

    Attributes:
        key: Meta's code, or ``DOB``.
        normalised: What is hashed or sent; null when blank. ``YYYYMMDD`` for ``DOB``.
        sha256: Its digest; null when blank or when the key is not hashed.
        reason: Why it is blank, from the closed list.
        steps: The steps that changed it, in order.
        parts: For ``DOB``, the three cells that are sent.
    """

    key: str
    normalised: str | None
    sha256: str | None
    reason: str | None
    steps: tuple[StepTaken, ...]
    parts: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Give the object ``explain --stdin`` writes."""
        line: dict[str, object] = {
            "key": self.key,
            "normalised": self.normalised,
            "sha256": self.sha256,
            "reason": self.reason,
            "steps": [step.name for step in self.steps],
        }
        return line | {"parts": {code: dict(part) for code, part in self.parts.items()}} if self.parts else line


def explain(key: str, value: object, *, country: str | None = None, settings: Settings = _NO_SETTINGS) -> Explanation:
    """Apply a key's rule to one value and keep every step.

    Args:
        key: A match key by its YAML name or Meta's code.
        value: Text, a number, a boolean or nothing.
        country: What the row's own COUNTRY cell holds.
        settings: What the mapping says.

    Raises:
        ConfigError: No such key, a value that is no cell, or settings that hold a mistake.
    """
    return explain_many([(key, value, country)], settings=settings)[0]


def explain_many(
    items: Sequence[tuple[str, object, str | None]], *, settings: Settings = _NO_SETTINGS
) -> list[Explanation]:
    """Explain many values in one go, in their order: ``(key, value, country)`` each.

    Raises:
        ConfigError: As :func:`explain`.
    """
    by_key: dict[MatchKey, list[int]] = {}
    for index, (name, _, _) in enumerate(items):
        by_key.setdefault(_key_of(name), []).append(index)
    explained: dict[int, Explanation] = {}
    for key, indices in by_key.items():
        raw = {"COUNTRY": [text_of(items[index][2]) for index in indices]}
        raw[key.meta] = [text_of(items[index][1]) for index in indices]  # a COUNTRY is explained by itself
        column = _explain_column(key, pl.DataFrame(raw, schema=dict.fromkeys(raw, pl.String)), settings)
        explained |= dict(zip(indices, column, strict=True))
    return [explained[index] for index in range(len(items))]


def text_of(value: object) -> str | None:
    """Read a value as a source hands it over: whole numbers without ``.0`` (principle 6).

    >>> text_of(7030.0), text_of(44.5), text_of(True), text_of(None)
    ('7030', '44.5', 'true', None)

    Raises:
        ConfigError: A list or an object is no cell.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # JSON may hold half of a surrogate pair, which is no character and has no UTF-8.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() else str(value)
    raise ConfigError(
        f"a value is text, a number, a boolean or null, not a {type(value).__name__}", code="config.not_a_value"
    )


def _key_of(name: str) -> MatchKey:
    key = find_match_key(name)
    if key is None:
        raise ConfigError(
            f'no match key "{name}"', code="config.unknown_match_key", hint=did_you_mean(name, known_names())
        )
    return key


def _explain_column(key: MatchKey, raw: pl.DataFrame, settings: Settings) -> list[Explanation]:
    values = normalise(raw, settings).select(key.wire)
    why = reasons(raw, values, settings)[key.wire[0]]
    split = len(key.wire) > 1
    if split:
        values = values.with_columns(pl.concat_str(key.wire).alias(key.meta))
    digests = hash_columns(values, plain=PLAIN)
    rows = zip(values.iter_rows(named=True), digests.iter_rows(named=True), why, strict=True)
    return [
        Explanation(
            key=key.meta,
            normalised=value[key.meta],
            sha256=digest[key.meta] if key.hashed else None,
            reason=reason,
            steps=steps,
            parts={code: {"normalised": value[code], "sha256": digest[code]} for code in key.wire} if split else {},
        )
        for (value, digest, reason), steps in zip(rows, _steps_of(key, raw, settings), strict=True)
    ]


def _steps_of(key: MatchKey, raw: pl.DataFrame, settings: Settings) -> list[tuple[StepTaken, ...]]:
    """Take a rule's steps one after the other and keep, row by row, those that changed the value."""
    rule = rule_of(key.meta, settings)
    cells = pl.DataFrame({"cell": raw[key.meta], COUNTRY: Normaliser(settings).countries(raw)})
    first, _ = _traced(cells, rule.first)
    prepared = prepare(cells, rule)
    if key.meta == "PHONE":
        then, numbers = _traced(prepared, rule.then[:-1])
        read = [_phone_steps(number, country) for number, country in zip(numbers, cells[COUNTRY], strict=True)]
        then = [before + after for before, after in zip(then, read, strict=True)]
    else:
        then, _ = _traced(prepared, rule.then)
    digests = prepared.select(pl.when(is_sha256(pl.col("cleaned"))).then(pl.col("cleaned"))).to_series()
    ready = [
        (StepTaken("a SHA-256 already, sent as it is", digest),) if digest and rule.digests == "pass" else ()
        for digest in digests
    ]
    return [a + b + c for a, b, c in zip(first, then, ready, strict=True)]


def _traced(cells: pl.DataFrame, steps: Sequence[Step]) -> tuple[list[tuple[StepTaken, ...]], pl.Series]:
    """Take steps on the column ``cell``: what they changed in every row, and the column after them."""
    columns = [cells["cell"]]
    for step in steps:
        cells = cells.with_columns(step.build(pl.col("cell")).alias("cell"))
        columns.append(cells["cell"])
    names = [step.name for step in steps]
    return [_changes(names, values) for values in zip(*columns, strict=True)], columns[-1]


def _changes(names: Sequence[str], values: Sequence[str | None]) -> tuple[StepTaken, ...]:
    return tuple(
        StepTaken(name, after)
        for name, (before, after) in zip(names, pairwise(values), strict=True)
        if before is not None and after is not None and after != before
    )


def _phone_steps(phone: str | None, country: str | None) -> tuple[StepTaken, ...]:
    from connector.profiles.phones import phone_steps  # noqa: PLC0415 - loads libphonenumber's metadata

    return () if phone is None else tuple(StepTaken(name, value) for name, value in phone_steps(phone, country))
