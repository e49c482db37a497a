"""What a mapping makes of the first profiles of a segment: coverage per match key, masked examples and rows, doubts.

Owns the counting. Everything it gives back is masked. Must not know how it is shown; nothing here hashes or sends.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from connector.profiles.mapping import ROW
from connector.profiles.masking import mask
from connector.profiles.normalise import reasons
from connector.profiles.suspicions import NAMES, Sample, Suspicion, suspicions_of, what_to_do
from connector.room import FRAME_ROWS

if TYPE_CHECKING:
    from connector.profiles.mapping import Mapping
    from connector.profiles.segments import Segment

SAMPLE: Final = 20_000
EXAMPLES: Final = 3
_LOOKED_THROUGH: Final = 200  # cells, to find masks that differ
_PARTS: Final = ("DOBY", "DOBM", "DOBD")


@dataclass(frozen=True, slots=True)
class KeyCoverage:
    """How one mapped key fares among the profiles looked at.

    ``filled + blank + sum(dropped) = profiles``. ``dropped`` counts by reason, the most frequent first; ``examples``
    holds up to three masked cells per reason, the most frequent first, ``advice`` what to do about them. ``code`` is Meta's, or ``DOB`` for a birth date.
    """

    code: str
    name: str
    columns: tuple[str, ...]
    filled: int
    blank: int
    dropped: dict[str, int]
    examples: dict[str, tuple[str, ...]]
    advice: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Give the object under ``keys``."""
        return {
            "columns": list(self.columns),
            "filled": self.filled,
            "blank": self.blank,
            "dropped": self.dropped,
            "examples": {reason: list(cells) for reason, cells in self.examples.items()},
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class MaskedCell:
    """One cell before and after its rule, masked; ``reason`` says why there is nothing after."""

    before: str | None
    after: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MaskedRow:
    """One profile, masked: a cell per mapped key. ``identified`` says whether it holds the key identifier."""

    identified: bool
    cells: dict[str, MaskedCell]

    def to_json(self) -> dict[str, Any]:
        """Give the object under ``rows``."""
        cells = {c: {"before": m.before, "after": m.after, "reason": m.reason} for c, m in self.cells.items()}
        return {"identified": self.identified, "keys": cells}


@dataclass(frozen=True, slots=True)
class Coverage:
    """The first profiles that ``where`` lets through, as the mapping reads them.

    ``read ≥ consenting ≥ identified``; ``extra`` counts rows for further e-mails and phones of those identified. ``keys`` and
    ``rows`` cover the consenting profiles, or all of them where nobody consents. ``whole`` says that the segment has no
    further profiles.
    """

    segment: str
    mapping: str
    key_identifier: str
    read: int
    consenting: int
    identified: int
    extra: int
    whole: bool
    keys: tuple[KeyCoverage, ...]
    rows: tuple[MaskedRow, ...]
    suspicions: tuple[Suspicion, ...]

    @property
    def looked_at(self) -> int:
        """How many profiles ``keys`` cover."""
        return self.consenting or self.read

    def to_json(self) -> dict[str, Any]:
        """Give ``data`` of ``preview segment --json``."""
        return {
            "segment": self.segment,
            "mapping": self.mapping,
            "key_identifier": self.key_identifier,
            "whole": self.whole,
            "profiles": {
                "read": self.read, "consenting": self.consenting, "identified": self.identified, "extra": self.extra,
            },
            "keys": {key.code: key.to_json() for key in self.keys},
            "rows": [row.to_json() for row in self.rows],
            "suspicions": [suspicion.to_json() for suspicion in self.suspicions],
        }  # fmt: skip


def look_at(segment: Segment, *, sample: int = SAMPLE, rows: int = 5) -> Coverage:
    """Read the first ``sample`` profiles of a segment and say what its mapping makes of them.

    Always the first ones in source order, so that it is quick and says the same again. The first ``rows`` of them are
    shown masked, whole.

    Raises:
        ConfigError: the mapping holds a date format or a country that does not exist.
        SourceError: the profiles cannot be read.
    """
    frames, unparsable, whole = _first_profiles(segment, sample)
    found = _sample_of(segment.mapping, frames, unparsable)
    agreed = found.consenting > 0
    return Coverage(
        segment=segment.name,
        mapping=segment.mapping.name,
        key_identifier=segment.mapping.key_identifier,
        read=found.read,
        consenting=found.consenting,
        identified=int(found.identified.sum()) if agreed else 0,
        extra=found.extra if agreed else 0,
        whole=whole,
        keys=tuple(_key(found, code) for code in segment.mapping.codes),
        rows=tuple(_row(found, at) for at in range(min(rows, found.raw.height))),
        suspicions=suspicions_of(found),
    )


def _first_profiles(segment: Segment, sample: int) -> tuple[list[pl.DataFrame], dict[str, int], bool]:
    """Read up to ``sample`` profiles; also the cells that ``where`` could not read, and whether that was everything."""
    frames: list[pl.DataFrame] = []
    unparsable: Counter[str] = Counter()
    left = sample
    for chunk in replace(segment, frame_rows=min(sample, FRAME_ROWS)).chunks():
        unparsable.update(chunk.unparsable)
        frames.append(chunk.frame.head(left))
        if chunk.frame.height > left:
            return frames, dict(unparsable), False
        left -= chunk.frame.height
    return frames, dict(unparsable), True


def _sample_of(mapping: Mapping, frames: list[pl.DataFrame], unparsable: dict[str, int]) -> Sample:
    """Run the mapping over the frames of those who consent, or over all where nobody does; one row per profile."""
    frames = frames or [pl.DataFrame(schema=dict.fromkeys(mapping.columns, pl.String))]
    agreeing = [frame.filter(mapping.consents(frame)) for frame in frames]
    consenting = sum(frame.height for frame in agreeing)
    found = [mapping.keys_of(frame) for frame in (agreeing if consenting else frames)]
    values = pl.concat([keys.values.with_columns(frame=pl.lit(n)) for n, keys in enumerate(found)])
    main = values.select(pl.struct("frame", ROW).is_first_distinct()).to_series()
    identified = mapping.identified(values)
    raw, values = pl.concat([keys.raw for keys in found]).filter(main), values.filter(main).drop("frame", ROW)
    why = reasons(raw, values, mapping.settings)
    return Sample(
        mapping=mapping,
        raw=raw,
        values=values.select(_finished(code) for code in mapping.codes),
        why=why.select(pl.col(_part(code, raw)).alias(code) for code in mapping.codes),
        identified=identified.filter(main),
        extra=int((identified & ~main).sum()),
        consent=pl.concat([frame[mapping.consent] for frame in frames]) if mapping.consent else None,
        read=sum(frame.height for frame in frames),
        consenting=consenting,
        unparsable=unparsable,
    )


def _finished(code: str) -> pl.Expr:
    return pl.concat_str(_PARTS).alias(code) if code == "DOB" else pl.col(code)


def _part(code: str, raw: pl.DataFrame) -> str:
    """Name the wire column whose reasons are those of ``code``: for a birth date a part without a column of its own."""
    return next((part for part in _PARTS if part not in raw.columns), "DOBY") if code == "DOB" else code


def _key(found: Sample, code: str) -> KeyCoverage:
    cells = pl.DataFrame({"raw": found.raw[code], "why": found.why[code]}).drop_nulls("why")
    counted = cells.group_by("why", maintain_order=True).len().sort("len", descending=True, maintain_order=True)
    lost = {str(why): int(count) for why, count in counted.iter_rows()}
    blank = lost.pop("blank", 0)
    return KeyCoverage(
        code=code,
        name=NAMES[code],
        columns=found.mapping.attributes[code].columns,
        filled=found.raw.height - blank - sum(lost.values()),
        blank=blank,
        dropped=lost,
        examples={why: _examples(cells.filter(pl.col("why") == why)["raw"], code) for why in lost},
        advice={why: what_to_do(why, found.mapping) for why in lost},
    )


def _examples(cells: pl.Series, code: str) -> tuple[str, ...]:
    """Give up to three masks that differ, of the most frequent cells first."""
    counted = pl.DataFrame({"cell": cells.drop_nulls()}).group_by("cell", maintain_order=True).len()
    ordered = counted.sort("len", descending=True, maintain_order=True)["cell"].head(_LOOKED_THROUGH)
    return tuple(dict.fromkeys(mask(cell, code) for cell in ordered))[:EXAMPLES]


def _row(found: Sample, at: int) -> MaskedRow:
    cells = {}
    for code in found.mapping.codes:
        before, after, why = found.raw[code][at], found.values[code][at], found.why[code][at]
        cells[code] = MaskedCell(
            before=mask("" if why == "blank" else before, code) if before is not None else None,
            after=mask(after, code, note=False) if after is not None else None,
            reason=why,
        )
    return MaskedRow(bool(found.identified[at]), cells)
