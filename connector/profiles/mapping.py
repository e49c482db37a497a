"""A mapping: which attribute feeds which match key, and what a frame of profiles becomes by it.

Owns the YAML in ``mappings/`` and the step from a raw frame to clean keys, several e-mails and phones included. Must not
know where frames come from or what happens to the keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl
from pydantic import AliasChoices, BaseModel, Field, create_model, model_validator

from connector.config import Words
from connector.errors import ConfigError, did_you_mean
from connector.profiles.match_keys import MATCH_KEYS
from connector.profiles.normalise import Normaliser, Settings
from connector.profiles.words import consent_given
from connector.yaml_file import Place, StrictModel, read_yaml

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KeyIdentifier = Literal["email", "phone", "name_and_address"]
SEVERAL = {"EMAIL": 3, "PHONE": 3}
ROW = "row"


class AttributeModel(StrictModel):
    """The long form of a match key's attribute."""

    from_: Words | None = Field(default=None, alias="from")
    value: str | bool | None = None
    format: str | None = None
    separator: str | None = Field(default=None, min_length=1)
    blank_is_zero: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.from_ is None) == (self.value is None):
            raise ValueError("name an attribute with `from:` or give every profile the same `value:`")
        return self


_KEYS: dict[str, Any] = {
    key.name: (
        str | Words | AttributeModel | None,
        Field(default=None, validation_alias=AliasChoices(key.name, key.meta), alias=key.name),
    )
    for key in MATCH_KEYS
}
KeysModel: type[BaseModel] = create_model("KeysModel", __base__=StrictModel, **_KEYS)


class MappingModel(StrictModel):
    """A mapping file, whole."""

    description: str = ""
    key_identifier: KeyIdentifier
    default_country: str | None = Field(default=None, pattern="^[A-Za-z]{2}$")
    keys: KeysModel  # type: ignore[valid-type]  # made from the table of match keys
    consent: str | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """Where the values of one match key come from: columns in order of preference, or one ``value`` for everyone."""

    columns: tuple[str, ...] = ()
    value: str | None = None
    separator: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The clean keys of one frame of profiles, before hashing. Holds people: stays in ``profiles/`` and the path.

    ``values``: a ``row`` column (UInt32, the profile's place in the frame) and one String column per match key in wire
    order, null for a blank; extra rows for further e-mails and phones stand behind their profile's main row.
    ``raw``: the text each cell came from, row by row the same height.
    """

    values: pl.DataFrame
    raw: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file that was read and found right."""

    name: str
    file: Path
    key_identifier: KeyIdentifier
    attributes: dict[str, Attribute]
    settings: Settings
    consent: str | None
    consent_line: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every attribute that the mapping reads, each once."""
        named = [column for attribute in self.attributes.values() for column in attribute.columns]
        return tuple(dict.fromkeys([*named, *([self.consent] if self.consent else [])]))

    @property
    def codes(self) -> tuple[str, ...]:
        """Meta's codes of the mapped keys, in the order of the table."""
        return tuple(self.attributes)

    def check_columns(self, known: Collection[str], *, source: str) -> None:
        """Raise a :class:`ConfigError` for the first attribute that the source does not have."""
        for attribute in self.attributes.values():
            for column in attribute.columns:
                if column not in known:
                    raise self._no_column(column, known, source, attribute.line)
        if self.consent is not None and self.consent not in known:
            raise self._no_column(self.consent, known, source, self.consent_line)

    def only(self, known: Collection[str]) -> Mapping:
        """The same mapping for a table that holds just some of its attributes (a suppression list)."""
        kept = {
            code: Attribute(columns, attribute.value, attribute.separator, attribute.line)
            for code, attribute in self.attributes.items()
            if (columns := tuple(c for c in attribute.columns if c in known)) or attribute.value is not None
        }
        return Mapping(self.name, self.file, self.key_identifier, kept, self.settings, None)

    def consents(self, frame: pl.DataFrame) -> pl.Series:
        """Who agreed to leave: a boolean per profile, all true without a ``consent:`` attribute."""
        if self.consent is None:
            return pl.repeat(True, frame.height, eager=True, dtype=pl.Boolean)
        return frame.select(consent_given(pl.col(self.consent))).to_series()

    def identified(self, values: pl.DataFrame) -> pl.Series:
        """Who holds the key identifier (match-keys.md, principle 5): a boolean per row."""
        have = {name: pl.col(name).is_not_null() if name in values.columns else pl.lit(value=False) for name in _NEEDED}
        rule = {
            "email": have["EMAIL"],
            "phone": have["PHONE"],
            "name_and_address": have["FN"] & have["LN"] & have["COUNTRY"] & (have["ZIP"] | have["CT"]),
        }[self.key_identifier]
        return values.select(rule.alias("identified")).to_series()

    def without_identifier(self, frame: pl.DataFrame) -> pl.Series:
        """Tell which profiles hold no key identifier at first sight: nothing stands where it should be."""
        attribute = self.attributes.get({"email": "EMAIL", "phone": "PHONE"}.get(self.key_identifier, ""))
        texts = () if attribute is None or attribute.value is not None else attribute.columns
        if not texts or any(frame.schema[column] != pl.String for column in texts):
            return pl.repeat(False, frame.height, eager=True, dtype=pl.Boolean)
        nothing = [(pl.col(column).str.strip_chars() == "").fill_null(value=True) for column in texts]
        return frame.select(pl.all_horizontal(nothing).alias("nothing")).to_series()

    def external_ids(self, frame: pl.DataFrame, normaliser: Normaliser) -> pl.Series | None:
        """Give the external ids alone, where the mapping has them."""
        attribute = self.attributes.get("EXTERN_ID")
        return None if attribute is None else normaliser.of(frame.select(self._raw("EXTERN_ID", attribute))).to_series()

    def keys_of(self, frame: pl.DataFrame, normaliser: Normaliser | None = None) -> Keys:
        """Turn a raw frame (text columns named by attribute) into clean keys; never raises for a value.

        ``normaliser``: one of these settings that is kept for all frames of a run is faster.
        """
        normaliser = normaliser or Normaliser(self.settings)
        several = [code for code in SEVERAL if self._has_several(code, frame)]
        raw = frame.select(self._raw(code, attribute) for code, attribute in self.attributes.items())
        longs = {code: self._values_of(code, frame, raw, normaliser) for code in several}
        raw = raw.with_columns(longs[code].chosen for code in several)
        values = normaliser.of(raw).with_columns(longs[code].first for code in several)
        rows = pl.int_range(0, frame.height, dtype=pl.UInt32, eager=True).alias(ROW)
        values = values.insert_column(0, rows)
        extra = [
            values[long.further[ROW]].with_columns(long.further[code])
            for code, long in longs.items()
            if long.further.height
        ]
        if extra:
            values = pl.concat([values, *extra]).sort(ROW, maintain_order=True)
            raw = raw[values[ROW]]
        return Keys(values, raw)

    def _raw(self, code: str, attribute: Attribute) -> pl.Expr:
        if attribute.value is not None:
            return pl.lit(attribute.value).repeat_by(pl.len()).explode().alias(code)
        return pl.col(attribute.columns[0]).alias(code)

    def _has_several(self, code: str, frame: pl.DataFrame) -> bool:
        attribute = self.attributes.get(code)
        if attribute is None:
            return False
        lists = any(frame.schema[column] == pl.List for column in attribute.columns)
        return lists or len(attribute.columns) > 1 or attribute.separator is not None

    def _values_of(self, code: str, frame: pl.DataFrame, raw: pl.DataFrame, normaliser: Normaliser) -> _Values:
        """Normalise every value a profile has for ``code`` and keep the first three that differ."""
        attribute = self.attributes[code]
        parts = [
            _one_per_value(frame[column], attribute.separator).with_columns(order=pl.lit(order))
            for order, column in enumerate(attribute.columns)
        ]
        long = pl.concat(parts).sort(ROW, "order", maintain_order=True)
        context = {"COUNTRY": raw["COUNTRY"][long[ROW]]} if "COUNTRY" in raw.columns else {}
        clean = normaliser.of(pl.DataFrame({code: long["value"], **context}))[code]
        good = (
            long.select(ROW, clean)
            .drop_nulls(code)
            .unique([ROW, code], keep="first", maintain_order=True)
            .with_columns(rank=pl.int_range(pl.len()).over(ROW))
        )
        index = pl.DataFrame({ROW: pl.int_range(0, frame.height, dtype=pl.UInt32, eager=True)})
        first = index.join(good.filter(pl.col("rank") == 0), on=ROW, how="left", maintain_order="left")[code]
        shown = long.unique(ROW, keep="first", maintain_order=True).select(ROW, pl.col("value").alias(code))
        chosen = index.join(shown, on=ROW, how="left", maintain_order="left")[code]
        further = good.filter(pl.col("rank").is_between(1, SEVERAL[code] - 1)).drop("rank")
        return _Values(chosen, first, further)

    def _no_column(self, column: str, known: Collection[str], source: str, line: int | None) -> ConfigError:
        return ConfigError(
            f'{source} has no column "{column}"',
            code="mapping.column",
            hint=did_you_mean(column, known) or f"It has: {', '.join(known)}",
            file=self.file,
            line=line,
        )


_NEEDED = ("EMAIL", "PHONE", "FN", "LN", "COUNTRY", "ZIP", "CT")


@dataclass(frozen=True, slots=True)
class _Values:
    """What several values came to: ``chosen`` raw text for the reasons, ``first`` for the main row, ``further`` rows."""

    chosen: pl.Series
    first: pl.Series
    further: pl.DataFrame


def _one_per_value(column: pl.Series, separator: str | None) -> pl.DataFrame:
    """Give each non-blank value of ``column``, split or exploded, a line with its profile's row."""
    frame = pl.DataFrame({ROW: pl.int_range(0, column.len(), dtype=pl.UInt32, eager=True), "value": column})
    if column.dtype == pl.String and separator is not None:
        frame = frame.with_columns(pl.col("value").str.split(separator))
    if frame.schema["value"] == pl.List:
        frame = frame.explode("value")
    return frame.filter(pl.col("value").str.strip_chars() != "").cast({"value": pl.String})


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        ConfigError: unknown match key (with the nearest one), wrong value, or a key identifier whose keys are not
            mapped; with file and line.
    """
    model, lines = read_yaml(path, MappingModel)
    attributes: dict[str, Attribute] = {}
    date_format, zero = None, False
    for key in MATCH_KEYS:
        given = getattr(model.keys, key.name)
        if given is None:
            continue
        line = lines.get(("keys", key.name)) or lines.get(("keys", key.meta))
        long = given if isinstance(given, AttributeModel) else None
        attributes[key.meta] = _attribute(given, line)
        _check_attribute(path, key.name, key.meta, attributes[key.meta], long)
        if long is not None and long.format is not None:
            date_format = long.format
        zero = zero or bool(long and long.blank_is_zero)
    settings = Settings(default_country=model.default_country, birth_date_format=date_format, blank_value_is_zero=zero)
    consent_line = lines.get(("consent",))
    mapping = Mapping(path.stem, path, model.key_identifier, attributes, settings, model.consent, consent_line)
    _check_identifier(mapping, lines)
    return mapping


def _attribute(given: str | tuple[str, ...] | AttributeModel, line: int | None) -> Attribute:
    if isinstance(given, str):
        return Attribute((given,), line=line)
    if isinstance(given, tuple):
        return Attribute(given, line=line)
    value = str(given.value).lower() if isinstance(given.value, bool) else given.value
    return Attribute(given.from_ or (), value, given.separator, line)


def _check_attribute(path: Path, name: str, code: str, attribute: Attribute, long: AttributeModel | None) -> None:
    most = SEVERAL.get(code, 1)
    if len(attribute.columns) > most:
        said = f"at most {most} attributes" if most > 1 else "one attribute"
        raise ConfigError(f'"{name}" takes {said}', code="mapping.several", file=path, line=attribute.line)
    misplaced = {
        "format": long is not None and long.format is not None and code != "DOB",
        "separator": attribute.separator is not None and code not in SEVERAL,
        "blank_is_zero": long is not None and long.blank_is_zero and code != "LOOKALIKE_VALUE",
    }
    for field, wrong in misplaced.items():
        if wrong:
            raise ConfigError(
                f'"{field}" means nothing for "{name}"', code="mapping.field", file=path, line=attribute.line
            )


def _check_identifier(mapping: Mapping, lines: dict[Place, int]) -> None:
    wants: dict[KeyIdentifier, list[tuple[str, ...]]] = {
        "email": [("EMAIL",)],
        "phone": [("PHONE",)],
        "name_and_address": [("FN",), ("LN",), ("COUNTRY",), ("ZIP", "CT")],
    }
    names = {key.meta: key.name for key in MATCH_KEYS}
    for choice in wants[mapping.key_identifier]:
        if not any(code in mapping.attributes for code in choice):
            wanted = " or ".join(names[code] for code in choice)
            raise ConfigError(
                f"key_identifier {mapping.key_identifier} needs {wanted} among the keys",
                code="mapping.identifier",
                file=mapping.file,
                line=lines.get(("key_identifier",)),
                hint=f"Add `{names[choice[0]]}: <attribute>` under keys, or choose another key_identifier.",
            )
