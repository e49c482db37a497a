from __future__ import annotations

import hashlib

import polars as pl
import pycountry
import pytest

from connector.errors import ConfigError
from connector.profiles import place_names
from connector.profiles.places import check_country, countries_in_force, recognise_countries


def recognised(*names: str | None) -> list[str | None]:
    return recognise_countries(pl.Series(names, dtype=pl.String)).to_list()


def in_force(*cells: str | None, default: str | None = None) -> list[str | None]:
    return countries_in_force(pl.Series(cells, dtype=pl.String), default).to_list()


def test_every_country_is_recognised_by_its_codes_and_english_names():
    for country in pycountry.countries:
        code = country.alpha_2.lower()
        names = [code, country.alpha_3.lower(), country.name.lower()]
        names += [getattr(country, kind).lower() for kind in ("common_name", "official_name") if hasattr(country, kind)]
        assert recognised(*names) == [code] * len(names), country.name


def test_no_name_means_two_countries_and_no_table_contradicts_another():
    codes, english, native = (
        place_names.country_codes(),
        place_names.english_country_names(),
        place_names.native_country_names(),
    )
    for first, second in ((codes, english), (codes, native), (english, native)):
        assert {name for name in first.keys() & second.keys() if first[name] != second[name]} == set()


def test_the_shipped_native_names_are_what_the_libraries_say():
    from docs.native_countries import native_names

    assert place_names.native_country_names() == native_names()  # stale: python docs/native_countries.py


def test_nearly_every_country_has_a_native_name():
    named = set(place_names.native_country_names().values())
    assert len(named) > 240


def test_aliases_name_real_places():
    aliases = place_names._alias_file()
    assert set(aliases["countries"]) <= set(place_names.alpha_2_codes())
    assert set(aliases["us_states"]) <= {s.code[3:].lower() for s in pycountry.subdivisions.get(country_code="US")}
    assert set(aliases["ca_provinces"]) <= {s.code[3:].lower() for s in pycountry.subdivisions.get(country_code="CA")}


def test_states_of_the_us_are_the_fifty_the_district_and_the_territories():
    assert len(set(place_names.us_states().values())) == 50 + 1 + 6
    assert len(set(place_names.canadian_provinces().values())) == 13


def test_the_row_s_own_country_comes_first_then_the_default():
    assert in_force("Germany", None, "", "n/a", default="us") == ["de", "us", "us", "us"]


def test_a_country_that_is_not_recognised_is_unknown_and_never_the_default():
    assert in_force("Atlantis", "xx", "0" * 64, "0" * 32, default="us") == [None] * 4


def test_a_hashed_country_is_recognised():
    digest = hashlib.sha256(b"fr").hexdigest()
    assert in_force(digest, f" {digest.upper()} ", hashlib.sha256(b"xk").hexdigest()) == ["fr", "fr", "xk"]
    assert in_force(hashlib.sha256(b"FR").hexdigest()) == [None]


def test_repeated_countries_keep_their_rows():
    assert in_force(*["DE", None, "Atlantis", "日本"] * 500, default="us") == ["de", "us", None, "jp"] * 500


def test_a_default_country_is_two_letters_in_any_case():
    assert [check_country(code) for code in (None, "us", "US", " Xk ")] == [None, "us", "us", "xk"]
    with pytest.raises(ConfigError) as error:
        check_country("germany")
    assert error.value.code == "config.unknown_country"


def test_latin_letters_lose_their_accents_and_other_scripts_keep_theirs():
    frame = pl.DataFrame({"name": ["łódź", "đặng", "þæß", "й", "が", "ﬁ"]})
    assert frame.select(place_names.bare_latin(pl.col("name")))["name"].to_list() == [
        "lodz",
        "dang",
        "thaess",
        "й",
        "が",
        "fi",
    ]
