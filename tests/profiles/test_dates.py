from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from connector.errors import ConfigError
from connector.profiles.dates import month_names, parse_format, read_dates
from connector.profiles.normalise import normalise
from connector.profiles.rules import Settings

TODAY = dt.date(2025, 11, 21)


@pytest.mark.parametrize(
    "written",
    ["%d/%m/%Y", "%Y%m%d", "%d.%m.%y", "%b %d, %Y", "%d %B %Y", "%F", "%m-%d-%Y %H:%M:%S", "%e/%-m/%y", "100%% %F"],
)
def test_a_format_that_says_day_month_and_year_is_read(written: str):
    groups, _ = parse_format(written)
    assert sorted(groups.lower().replace("n", "m")) == ["d", "m", "y"]


@pytest.mark.parametrize(
    "written", ["", "dd/mm/yyyy", "%d/%m", "%d/%m/%Y %d", "%Y-%j", "%q", "%d/%m/%Y%", "%Y %y %m %d", "%s"]
)
def test_a_format_that_does_not_is_a_mistake_in_the_mapping(written: str):
    with pytest.raises(ConfigError) as error:
        parse_format(written)
    assert error.value.code == "config.date_format"
    assert error.value.hint


def test_a_mistaken_format_stops_before_any_value_is_read():
    with pytest.raises(ConfigError):
        normalise(pl.DataFrame({"DOB": ["1997-02-16"]}), Settings(birth_date_format="%d/%m"))


def test_month_names_of_ten_languages_mean_one_month_each():
    names = month_names()
    assert {
        names[name]
        for name in ("february", "février", "februar", "febrero", "fevereiro", "febbraio", "februari", "февраля")
    } == {"02"}
    assert set(names.values()) == {f"{number:02}" for number in range(1, 13)}


def test_today_is_the_current_day_in_utc_unless_given():
    assert Settings().day() in {dt.datetime.now(dt.UTC).date(), dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)}
    assert Settings(today=TODAY).day() == TODAY


def test_repeated_and_missing_dates_keep_their_rows():
    cells = ["1997-02-16", None, "3/4/1997", "never"] * 300
    read = read_dates(pl.Series(cells), None, TODAY)
    assert read["value"].to_list() == ["19970216", None, None, None] * 300
    assert read["reason"].to_list() == [None, None, "ambiguous_date", "not_a_date"] * 300


def test_columns_of_their_own_come_before_the_parts_of_a_birth_date():
    raw = pl.DataFrame({"DOB": ["1997-02-16", "1997-02-16", None], "DOBY": ["1968", None, "1968"]})
    values = normalise(raw, Settings(today=TODAY))
    assert values.columns == ["DOBY", "DOBM", "DOBD"]
    assert values.rows() == [("1968", "02", "16"), ("1997", "02", "16"), ("1968", None, None)]
