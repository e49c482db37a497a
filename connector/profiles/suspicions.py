"""What looks wrong about a mapping, judged by a sample of its profiles, and what to do about it.

Owns the suspicions and their sentences. They name columns and shares, never a cell that is not masked. Must not know
where the sample came from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

import polars as pl

from connector.profiles.cleaning import CLEAN, compose, is_blank
from connector.profiles.dates import read_dates
from connector.profiles.look_alikes import MOST, share_of, wrong_shape
from connector.profiles.mapping import KeyIdentifier
from connector.profiles.masking import mask
from connector.profiles.match_keys import MATCH_KEYS
from connector.profiles.words import answer_words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from connector.profiles.mapping import Mapping

FEWEST: Final = 5  # with fewer cells nothing is suspected
NAMES: Final = {key.meta: key.name for key in MATCH_KEYS}

WHAT_TO_DO: Final = {
    "no_country": "Set `default_country:` in the mapping, or map the column that holds the country.",
    "not_possible": "Numbers are cut short, joined, or read in the wrong country: check the country column and"
    " `default_country:`.",
    "wrong_digest": "MD5 and SHA-1 cannot be matched: map the plain text, which is hashed here, or SHA-256.",
    "not_an_email": "Map a column of plain addresses, one to a cell; several in a cell need `separator:`.",
    "not_a_date": 'Give the order in which dates are written, for example `format: "%d/%m/%Y"`.',
    "ambiguous_date": 'Say which comes first, day or month: `format: "%d/%m/%Y"` or `format: "%m/%d/%Y"`.',
    "out_of_range": "Days that do not exist, lie in the future or before 1900: check how the source writes them.",
    "no_letter": "There is no letter in these names: is this the right column?",
    "unknown_word": "Write m or f, or a word for it, in the source or in SQL; other words stay blank.",
    "unknown_country": "Use ISO codes or names of countries; a free text has to be cleaned in SQL.",
    "unknown_state": "These are no states of the US: check the country column and `default_country:`.",
    "not_roman": "Meta takes city and state in Roman letters only; the postal code is enough where there are none.",
    "too_short": "Postal codes lost characters in a spreadsheet, or a US row holds a foreign one: check the country column,"
    " and keep codes as text.",
    "not_a_uuid": "A mobile advertiser id looks like 38400000-8cf0-11bd-b23e-10b96e40000d: is this the right column?",
    "bad_value": "Write plain numbers from 0 up, without currency or thousands separators.",
}
"""What to do about cells that are dropped, by reason (match-keys.md); a blank needs nothing."""


def what_to_do(reason: str, mapping: Mapping) -> str:
    """Say what to do about cells of a mapping that are dropped for ``reason``."""
    written = mapping.settings.birth_date_format
    if reason == "not_a_date" and written is not None:
        return f"Only dates written as {written} are read, as the mapping says; write the others so, or leave them out."
    return WHAT_TO_DO.get(reason, "Is this the right column?")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that looks wrong: ``key`` is Meta's code or null, ``code`` a word for scripts."""

    key: str | None
    code: str
    message: str
    advice: str

    def to_json(self) -> dict[str, str | None]:
        """Give the object of ``preview segment --json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sample:
    """Profiles as the mapping read them, a row each, the same rows everywhere.

    ``raw``: text by mapped code. ``values``: finished text by mapped code, ``DOB`` as ``YYYYMMDD``. ``why``: reasons by
    mapped code, null beside a value. ``consent``: the raw consent cells of every profile, when the mapping names one.
    ``read`` and ``consenting`` count profiles, ``extra`` rows beyond the first of those identified; ``unparsable`` counts cells that ``where`` could not read, by column.
    """

    mapping: Mapping
    raw: pl.DataFrame
    values: pl.DataFrame
    why: pl.DataFrame
    identified: pl.Series
    extra: int
    consent: pl.Series | None
    read: int
    consenting: int
    unparsable: dict[str, int]

    def spoken(self, code: str) -> pl.Series:
        """The raw cells of a key that say something."""
        return self.raw[code].filter((self.why[code] != "blank").fill_null(value=True))

    def column(self, code: str) -> str:
        """How to name a key's attribute: ``phone ← mobile``."""
        return f"{NAMES[code]} ← {', '.join(self.mapping.attributes[code].columns)}"


def suspicions_of(sample: Sample) -> tuple[Suspicion, ...]:
    """Say what looks wrong, the gravest first; at most one thing per key and kind of doubt."""
    found = [*_readable_people(sample), *_consent(sample), *_shared_columns(sample)]
    for code, attribute in sample.mapping.attributes.items():
        if attribute.columns:
            found += filter(None, (_of_key(sample, code), _placeholder(sample, code)))
    found += [*_identifier(sample), *_unparsable(sample)]
    return tuple(found)


def _readable_people(sample: Sample) -> Iterator[Suspicion]:
    """An external id leaves unhashed: a single e-mail address in it is one too many."""
    if "EXTERN_ID" not in sample.raw.columns:
        return
    cells = sample.spoken("EXTERN_ID")
    for shape, pattern in (
        ("e-mail addresses", r"^[^\s@]+@[^\s@]+\.[^\s@]+$"),
        ("phone numbers", r"^\+(?:[ ()./\-]*[0-9]){7,15}$"),
    ):
        if share := share_of(cells, pattern):
            yield Suspicion(
                "EXTERN_ID",
                "readable_person",
                f"{sample.column('EXTERN_ID')}: {_percent(share)} of the cells are {shape}, and this key leaves unhashed",
                "Use an id that means nothing outside your company; hash it in SQL if there is no other.",
            )


def _consent(sample: Sample) -> Iterator[Suspicion]:
    if sample.consent is None or not sample.read:
        return
    cleaned = compose(pl.col("cell"), CLEAN)
    yes_no = [*answer_words("yes"), *answer_words("no"), "0.0", "1.0"]
    spoken = pl.DataFrame({"cell": sample.consent}).filter(~is_blank(cleaned))
    unknown = spoken.filter(~cleaned.is_in(yes_no))
    share = unknown.height / spoken.height if spoken.height else 0.0
    name = f"consent ← {sample.mapping.consent}"
    if share > 0.01:
        word = mask(_most_common(unknown["cell"])[0], "GEN")
        yield Suspicion(
            None,
            "consent_words",
            f"{name}: {_percent(share)} of the cells are neither yes nor no (most often {word}), which is no consent",
            "Is this the column of the consent? It has to say true or false, 1 or 0, yes or no.",
        )
    elif not sample.consenting:
        yield Suspicion(
            None,
            "no_consent",
            f"{name}: nobody in the sample consents, so nothing would be sent",
            "Is this the right column? Blank means no.",
        )


def _shared_columns(sample: Sample) -> Iterator[Suspicion]:
    """Two keys that read one column; only first name and initial may, and parts of a birth date."""
    kin = ({"FN", "FI"}, {"DOB", "DOBY", "DOBM", "DOBD"})
    first_of: dict[str, str] = {}
    for code, attribute in sample.mapping.attributes.items():
        for column in attribute.columns:
            other = first_of.setdefault(column, code)
            if other != code and not any({code, other} <= family for family in kin):
                yield Suspicion(
                    code,
                    "shared_column",
                    f"{NAMES[other]} and {NAMES[code]} both read {column}",
                    "One of them is wrong, or the column has to be split in SQL.",
                )


def _of_key(sample: Sample, code: str) -> Suspicion | None:
    """The one thing that is most wrong with a key's column."""
    cells = sample.spoken(code)
    if cells.is_empty():
        if sample.raw.height < FEWEST:
            return None
        message = f"{sample.column(code)}: every cell of the sample is blank"
        return Suspicion(code, "empty", message, "Take the line out of the mapping, or name the column that is filled.")
    if cells.len() < FEWEST:
        return None
    if found := wrong_shape(code, cells):
        shape, share = found
        advice = shape.advice or f"Map {NAMES[code]} to another column{_belongs(shape.home, code)}."
        message = f"{sample.column(code)}: {_percent(share)} of the cells look like {shape.words}"
        return Suspicion(code, f"looks_like_{shape.name}", message, advice)
    return _whole_names(sample, code, cells) or _dropped(sample, code, cells)


def _belongs(home: str, code: str) -> str:
    return f"; this one belongs to {home}" if home and home != NAMES[code] else ""


def _whole_names(sample: Sample, code: str, cells: pl.Series) -> Suspicion | None:
    """A column of "Mary Jones" or "Jones, Mary" where one part is wanted."""
    if code not in {"FN", "LN"}:
        return None
    share = max(share_of(cells, r"^[^,]+,\s*\S"), share_of(cells, r"^\S+\s+\S") if code == "FN" else 0.0)
    if share <= 0.8:
        return None
    message = f"{sample.column(code)}: {_percent(share)} of the cells look like whole names"
    return Suspicion(code, "whole_names", message, "Split them in SQL: Meta matches first and last name apart.")


def _dropped(sample: Sample, code: str, cells: pl.Series) -> Suspicion | None:
    """Most of what a column says is dropped for one reason; dates are worth a look earlier."""
    why = sample.why[code].filter((sample.why[code] != "blank").fill_null(value=False))
    share = why.len() / cells.len()
    if share <= (0.2 if code == "DOB" else MOST):
        return None
    reason, _ = _most_common(why)
    advice = what_to_do(reason, sample.mapping)
    if code == "DOB":
        advice = _better_format(sample, cells, kept=1 - share) or advice
    words = reason.replace("_", " ")
    message = f"{sample.column(code)}: {_percent(share)} of the cells are dropped, most as {words}"
    return Suspicion(code, reason, message, advice)


_FORMATS: Final = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d%m%Y", "%m%d%Y",
    "%Y-%d-%m", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y%m%d", "%d%m%y", "%m%d%y",
    "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y",
    "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M",
)  # fmt: skip


def _better_format(sample: Sample, cells: pl.Series, *, kept: float) -> str | None:
    """Try the usual formats on the sample and name the one that reads most, if it reads much more than now."""
    settings = sample.mapping.settings
    cleaned = pl.DataFrame({"cell": cells}).select(compose(pl.col("cell"), CLEAN)).to_series()
    formats = [written for written in (None, *_FORMATS) if written != settings.birth_date_format]
    read = [(_share_read(cleaned, written, settings.day()), written) for written in formats]
    share, best = max(read, key=lambda found: found[0])
    if share < max(MOST, kept + 0.1):
        return None
    also = [written for other, written in read if other > share - 0.02 and written != best]
    if best is None or None in also:
        return f"Without `format:` {_percent(share)} of them can be read: take it out of the mapping."
    if also:
        return (
            f'`format: "{best}"` and `format: "{also[0]}"` read {_percent(share)} of them alike: ask whoever makes'
            " the source whether the day or the month comes first."
        )
    return f'Write `birth_date: {{from: {sample.mapping.attributes["DOB"].columns[0]}, format: "{best}"}}`: it reads {_percent(share)} of them.'


def _share_read(cleaned: pl.Series, written: str | None, today: dt.date) -> float:
    return float(read_dates(cleaned, written, today)["value"].is_not_null().sum()) / cleaned.len()


_REPEATED: Final = {"EMAIL": 0.02, "PHONE": 0.02, "EXTERN_ID": 0.02, "MADID": 0.02, "DOB": 0.1, "LN": MOST, "FN": MOST}
"""The share from which on one value is too common to be a person's own."""


def _placeholder(sample: Sample, code: str) -> Suspicion | None:
    """One value fills too much of a column that tells people apart."""
    values = sample.values[code].drop_nulls()
    if code not in _REPEATED or values.len() < 2 * FEWEST:
        return None
    value, count = _most_common(values)
    share = count / values.len()
    if count < 2 * FEWEST or share <= _REPEATED[code]:
        return None
    message = f"{sample.column(code)}: one value, {mask(value, code)}, fills {_percent(share)} of the cells"
    return Suspicion(
        code,
        "placeholder",
        message,
        "Is it a placeholder of the source? Make it blank there: a wrong value finds a wrong person.",
    )


def _identifier(sample: Sample) -> Iterator[Suspicion]:
    """Few profiles hold the key identifier; another one may be held by more."""
    chosen = sample.mapping.key_identifier
    total, held = sample.identified.len(), int(sample.identified.sum())
    if total < FEWEST or held / total >= MOST:
        return
    others: dict[KeyIdentifier, int] = {
        other: int(replace(sample.mapping, key_identifier=other).identified(sample.values).sum())
        for other in get_args(KeyIdentifier)
        if other != chosen
    }
    best = max(others, key=lambda other: others[other])
    advice = "Profiles without it are never sent: look at the key's losses above."
    if others[best] > max(1.5 * held, 0.1 * total):
        advice = f"`key_identifier: {best}` would let {_percent(others[best] / total)} of them go."
    message = f"only {_percent(held / total)} of the consenting profiles hold the key identifier, {chosen}"
    yield Suspicion(None, "few_identified", message, advice)


def _unparsable(sample: Sample) -> Iterator[Suspicion]:
    for column, count in sample.unparsable.items():
        cells = "1 cell" if count == 1 else f"{count:,} cells"
        advice = "Clean the column in the source, or compare it as text."
        if column == sample.mapping.consent:
            advice = "Leave it out of `where`: the mapping's `consent:` asks it already, in the words of ten languages."
        yield Suspicion(
            None,
            "where_unparsable",
            f"where ← {column}: {cells} could not be read as what the condition compares with; their profiles are left out",
            advice,
        )


def _most_common(cells: pl.Series) -> tuple[str, int]:
    """The most frequent cell and its count; of equals the first."""
    counted = pl.DataFrame({"cell": cells}).group_by("cell", maintain_order=True).len()
    top = counted.sort("len", descending=True, maintain_order=True).row(0)
    return str(top[0]), int(top[1])


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "under 1 %"
    return "almost 100 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")
