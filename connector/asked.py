"""Who is asked for: identifiers as somebody types them, by the very rules of exports, as digests.

Must not know what is done with them. No error repeats a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from connector.errors import ConfigError
from connector.hashing import hash_columns
from connector.profiles.mapping import read_mapping
from connector.profiles.match_keys import PLAIN
from connector.profiles.normalise import Settings, normalise
from connector.profiles.place_names import alpha_2_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.config import Config

KINDS = {"EMAIL": "email", "PHONE": "phone", "EXTERN_ID": "external_id"}


def digests_of(config: Config, code: str, values: Sequence[str], country: str | None) -> pl.Series:
    """Normalise and hash the values of one key, by the very rules of exports.

    Raises:
        ConfigError: a value is blank, or a phone means different numbers under different mappings.
    """
    raw = pl.DataFrame({code: list(values)}, schema={code: pl.String})
    if country is not None:
        raw = raw.with_columns(COUNTRY=pl.lit(country))
    mappings = [read_mapping(config.mapping_file(name)).settings.default_country for name in config.mappings()]
    countries = [country] if country is not None else sorted(set(mappings), key=str) or [None]
    if code != "PHONE":
        countries = countries[:1]
    seen = pl.DataFrame(
        [normalise(raw, Settings(default_country=one))[code].alias(str(n)) for n, one in enumerate(countries)]
    )
    distinct = seen.select(pl.concat_list(pl.all()).list.drop_nulls().list.unique().alias("all"))["all"]
    if (distinct.list.len() > 1).any():
        raise ConfigError(
            "a phone means different numbers in the mappings' default countries",
            code="forget.country",
            hint="Say which country's it is: --country FR. Or write it with + and its country code.",
        )
    if (distinct.list.len() == 0).any():
        raise ConfigError(
            f"a value given as {KINDS[code].replace('_', ' ')} is blank or not one; it is not repeated here",
            code="forget.value",
            hint="A phone without a country code may want --country. See what becomes of it with: connector explain",
        )
    clean = distinct.list.first().alias(code).to_frame()
    return hash_columns(clean, plain=PLAIN)[code].unique(maintain_order=True)


def phones_elsewhere(config: Config, phones: Sequence[str]) -> pl.DataFrame:
    """Give the digests (column ``PHONE``) of phones in every country, where a mapping takes it from each profile."""
    mappings = [read_mapping(config.mapping_file(name)) for name in config.mappings()]
    if not any(m.attributes["COUNTRY"].columns for m in mappings if "COUNTRY" in m.attributes):
        return pl.DataFrame(schema={"PHONE": pl.String})
    everywhere = pl.DataFrame({"PHONE": phones}).join(pl.DataFrame({"COUNTRY": alpha_2_codes()}), how="cross")
    read = normalise(everywhere, Settings(default_country=None)).select("PHONE").drop_nulls().unique()
    return hash_columns(read, plain=PLAIN)
