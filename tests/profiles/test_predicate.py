from __future__ import annotations

import datetime as dt
import random
import sqlite3
from typing import Any

import polars as pl
import pytest

from connector.errors import ConfigError, SourceError
from connector.profiles.kinds import date_literal
from connector.profiles.predicate import Predicate, parse_predicate

TODAY = dt.date(2024, 3, 1)
FRAME = pl.DataFrame(
    {
        "n": ["3", " 3 ", "3.0", "1e3", "1,000", None, "  ", "x", "-2"],
        "t": ["Paris", "paris", None, "New York", "a%b", "A_b", "é", "x", "y\nz"],
        "d": ["2024-01-31", "2024-01-31T15:00:00", "20240131", "2024/1/31", "31/01/2024", None, "2024-02-30", "2023-12-01 10:00", "2024-02-01T00:00:00Z"],
        "b": ["true", "NO", "1", "0", "maybe", None, "T", "False", " yes "],
        "e": ["2024-01-01"] * 9,
        "left": ["a"] * 9,
        "Order Date": ["2024-01-01"] * 9,
        "date": ["2020-01-01"] * 9,
        "a.b": ["1"] * 9,
        "Ä": ["1"] * 9,
    }
)  # fmt: skip


def parsed(sql: str) -> Predicate:
    return parse_predicate(sql, columns=FRAME.columns, file="connector.yaml", line=12, today=TODAY)


def found(sql: str) -> list[int]:
    mask, _ = parsed(sql).mask(FRAME)
    assert mask.dtype == pl.Boolean
    assert mask.null_count() == 0
    assert mask.len() == FRAME.height
    return mask.arg_true().to_list()


def refusal(sql: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parsed(sql)
    assert caught.value.where == "connector.yaml:12"
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        # numbers: 1,000 and x are none, neither is what is blank
        ("n = 3", [0, 1, 2]),
        ("n >= 3", [0, 1, 2, 3]),
        ("3 < n", [3]),
        ("n <> 3", [3, 8]),
        ("n != 3", [3, 8]),
        ("not n = 3", [3, 8]),
        ("n = -2 or n = 1.0e3", [3, 8]),
        ("n is null", [5]),
        ("n is null and n < 3 or n is null", [4, 5, 6, 7]),
        ("n in (3, 1000)", [0, 1, 2, 3]),
        ("n not in (3)", [3, 8]),
        ("n not in (3, null)", []),
        ("n between -2 and 3", [0, 1, 2, 8]),
        ("n not between -2 and 3", [3]),
        ("n + 1 = 4", [0, 1, 2]),
        ("n / 2 = 1.5 and n % 2 = 1 and n * 2 - n = 3", [0, 1, 2]),
        ("n / 0 > 1 or n % 0 > 1", []),
        ("-n > 1 and abs(n) = 2", [8]),
        ("round(n / 2) = 2 and floor(n / 2) = 1 and ceil(n / 2) = 2", [0, 1, 2]),
        ("round(n / 8, 1) = 0.4", [0, 1, 2]),
        ("coalesce(n, 0) = 0", [4, 5, 6, 7]),
        ("n is distinct from 3", [3, 4, 5, 6, 7, 8]),
        ("n is not distinct from 3", [0, 1, 2]),
        ("n::int = 3 and cast(n as decimal(10, 2)) = 3", [0, 1, 2]),
        # text
        ("t = 'Paris'", [0]),
        ("t <> 'Paris'", [1, 3, 4, 5, 6, 7, 8]),
        ("t in ('Paris', 'x')", [0, 7]),
        ("lower(t) = 'paris' or upper(t) = 'É'", [0, 1, 6]),
        ("t like 'P%' or t like '_'", [0, 6, 7]),
        ("t not like 'P%'", [1, 3, 4, 5, 6, 7, 8]),
        ("t like 'a%b' or t like 'y%z'", [4, 8]),
        ("t ilike 'a_b'", [4, 5]),
        ("starts_with(t, 'a%')", [4]),
        ("t > 'M' and t < 'Q'", [0, 3]),
        ("length(t) > 5", [3]),
        ("substring(t, 1, 3) = 'New' or left(t, 2) = 'Pa' or right(t, 4) = 'aris'", [0, 1, 3]),
        ("t || '!' = 'x!' or concat(t, '!') = 'é!'", [6, 7]),
        ("nullif(t, 'x') is null", [2, 7]),
        ("coalesce(t, '-') = '-'", [2]),
        ("t = null or t <> null", []),
        ("n = '3'", [0]),
        ("n = 'x'", [7]),
        ("trim(n) = '3'", [0, 1]),
        ("n like '3%' and n = 3", [0, 2]),
        ("cast(n as text) = ' 3 ' and n = 3", [1]),
        # dates
        ("d >= '2024-01-31'", [0, 1, 2, 3, 8]),
        ("d = '2024-01-31'", [0, 1, 2, 3]),
        ("d in ('2024-01-31', '2024-02-01')", [0, 1, 2, 3, 8]),
        ("d > date '2024-01-31'", [8]),
        ("d > timestamp '2024-01-31 12:00:00'", [1, 8]),
        ("d > '2024-01-31 12:00' or d = '2023-12-01 10:00:00'", [1, 7, 8]),
        ("d between '2024-01-01' and '2024-01-31'", [0, 1, 2, 3]),
        ("d < '2024-01-31' or d is null", [4, 5, 6, 7]),
        ("d > current_date - interval '30 days'", [8]),
        ("d > current_date - 30", [8]),
        ("current_date - d < 30", [8]),
        ("d - e = 30", []),
        ("cast(d as date) - cast(e as date) = 30", [0, 1, 2, 3]),
        ("d + interval '1 month' >= current_date", [8]),
        ("d - interval '1' day = '2024-01-30'", [0, 1, 2, 3]),
        ("cast(d as date) > cast(e as date)", [0, 1, 2, 3, 8]),
        ("d > e and e = '2024-01-01'", [0, 1, 2, 3, 8]),
        ("cast(d as date) = timestamp '2024-01-31 00:00:00'", [0, 1, 2, 3]),
        ("d = timestamp '2024-01-31 15:00:00' or d = date '2023-12-01'", [1]),
        # booleans
        ("b", [0, 2, 6, 8]),
        ("not b", [1, 3, 7]),
        ("b = true", [0, 2, 6, 8]),
        ("b is true", [0, 2, 6, 8]),
        ("b is not true", [1, 3, 4, 5, 7]),
        ("b is false", [1, 3, 7]),
        ("coalesce(b, false)", [0, 2, 6, 8]),
        ("cast(b as boolean)", [0, 2, 6, 8]),
        ("b = 'true'", [0]),
        ("b = 1", [2]),
        # logic
        ("true", list(range(9))),
        ("1 = 1 and not false", list(range(9))),
        ("null or false", []),
        ("(n = 3 and b) or t = 'x'", [0, 2, 7]),
        ("case when n > 3 then true else b end", [0, 2, 3, 6, 8]),
        ("case t when 'Paris' then 1 when 'x' then 2 end = 2", [7]),
        ("case when 1 = 2 then 'a' end is null", list(range(9))),
        # names
        ("N = 3", [0, 1, 2]),
        ('"n" = 3', [0, 1, 2]),
        ("\"Order Date\" = '2024-01-01' and \"order date\" = '2024-01-01'", list(range(9))),
        ("left = 'a' and date = '2020-01-01'", list(range(9))),
        ('a.b = 1 and "a.b" = 1 and ä = 1', list(range(9))),
        ("n = 3 -- as agreed", [0, 1, 2]),
        ("n = 3;", [0, 1, 2]),
    ],
)
def test_a_condition_holds_where_sql_says_so(sql: str, rows: list[int]):
    assert found(sql) == rows


@pytest.mark.parametrize(
    ("sql", "counts"),
    [
        ("n >= 3", {"n": 2}),
        ("n >= 3 and d > '2024-01-01' and b and t = 'x'", {"n": 2, "d": 2, "b": 1}),
        ("n is null", {}),
        ("lower(n) = 'x'", {}),
        ("cast(n as numeric) > 1 and cast(n as date) > '2024-01-01'", {"n": 7}),
        ("b = 1", {"b": 6}),
    ],
)
def test_cells_that_cannot_be_read_are_counted(sql: str, counts: dict[str, int]):
    assert parsed(sql).mask(FRAME)[1] == counts


def test_a_predicate_names_its_columns_and_changes_no_cell():
    predicate = parsed("N > 1 and \"Order Date\" > '2020-01-01' and n < 9")
    assert predicate.columns == ("n", "Order Date")
    before = FRAME.clone()
    predicate.mask(FRAME)
    assert FRAME.equals(before)


def test_a_mask_fits_a_frame_of_any_height():
    for sql in ("true", "n > 1", "1 = 1 or n > 1", "nullif(n, n) = 1"):
        for height in (0, 1, 9):
            assert parsed(sql).mask(FRAME.head(height))[0].len() == height


def test_a_column_of_lists_cannot_be_compared():
    with pytest.raises(SourceError) as caught:
        parsed("t = 'x'").mask(pl.DataFrame({"t": [["x"]]}))
    assert caught.value.code == "source.type"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "no SQL condition"),
        (" ; ", "no SQL condition"),
        ("n = ", "no SQL condition"),
        ("n >< 3", "no SQL condition"),
        ("n = 3 b = 4", "no SQL condition"),
        ("a b", "no SQL condition"),
        ("n = 3; drop table x", "no SQL condition"),
        ("n = ?", "no SQL condition"),
        ("n = :x", "no SQL condition"),
        ("n = 'x", "no SQL condition"),
        ("*", "no SQL condition"),
        ("(" * 3000 + "n", "no SQL condition"),
        ("select 1", "subquery"),
        ("n = (select 1)", "subquery"),
        ("n in (select 1)", "subquery"),
        ("exists (select 1)", "subquery"),
        ("drop table x", "does not know drop"),
        ("count(n) > 1", "does not know count"),
        ("evil(n) = 1", "does not know evil"),
        ("random() > 0.5", "does not know rand"),
        ("d > now()", "does not know now"),
        ("t similar to 'P%'", "does not know similar"),
        ("row_number() over () = 1", "does not know window"),
        ("trim(both 'x' from t) = 'a'", "does not know trim with expression"),
        ("t like 'a\\_%'", "no escapes"),
        ("t like n", "LIKE with a text"),
        ("t like 'a!_' escape '!'", "does not know escape"),
        ("substring(t, n) = 'x'", "whole number"),
        ("d > current_date - interval '3 hours'", "days, weeks, months"),
        ("cast(n as bytea) = 1", "casts to numeric"),
        ("cast(n + 1 as text) = 'x'", "casts columns only"),
        ("lower(n + 1) = 'x'", "no text"),
        ("n > 1 and n = 'x'", 'column "n" as number and as text'),
        ("n > 1 and n", '"n"'),
        ("n > 1 and n > '2024-01-01'", '"n"'),
        ("n = true or n = 1", '"n"'),
        ("d > '2024-02-30'", "a text that is none"),
        ("d > '2024-01-01' and d = 'unknown'", '"d" as date and as text'),
        ("d > '2024-01-01' and d = 'soon'", '"d"'),
        ("n > '3'", "a number in quotes"),
        ("n between '1' and '3'", "a number in quotes"),
        ("1 = 'x'", "compares number with text"),
        ("abs('x') = 1", "compares text with number"),
        ("d + n > current_date", "whole number"),
        ("interval '1 day' = n", "does not take interval here"),
        ("t > n", "orders two columns"),
        ("n = 12345678901234567", "15 digits"),
        ("n > 1e400", "15 digits"),
        ("date '2024-13-01' < d", "a date that is none"),
    ],
)
def test_what_is_no_plain_condition_is_refused(sql: str, said: str):
    error = refusal(sql)
    assert error.code == "config.where"
    assert said in error.message


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("nn > 3", 'Did you mean "n"?'),
        ("\"oder date\" > '2024-01-01'", 'Did you mean "Order Date"?'),
        ('t = "Bob Dylan"', "Text stands in single quotes, a column in double quotes."),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_a_hint(sql: str, hint: str):
    error = refusal(sql)
    assert (error.code, error.hint) == ("config.column", hint)


def test_a_name_that_fits_two_columns_is_refused():
    columns = ["Email", "EMAIL", "current_date"]
    with pytest.raises(ConfigError, match="email"):
        parse_predicate("email = 'x'", columns=columns)
    assert parse_predicate("EMAIL = 'x'", columns=columns).columns == ("EMAIL",)
    with pytest.raises(ConfigError, match="current_date"):
        parse_predicate("current_date = '2024-01-01'", columns=columns)
    assert parse_predicate("\"current_date\" = '2024-01-01'", columns=columns).columns == ("current_date",)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-02-29", dt.date(2024, 2, 29)),
        ("2024-02-29 13:45", dt.datetime(2024, 2, 29, 13, 45)),  # noqa: DTZ001  a query's timestamp has no zone
        ("2023-02-29", None),
        ("20240229", None),
        ("soon", None),
    ],
)
def test_a_date_in_a_query_is_written_in_full(written: str, read: dt.date | None):
    assert date_literal(written) == read


class Conditions:
    """Random conditions over two numbers, two texts and two booleans, in SQL that SQLite understands too."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def one(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def number(self, depth: int) -> str:
        down = depth - 1
        if depth <= 0:
            return self.one("n1", "n2", "0", "1", "2.5", "-1")
        return self.chance.choice(
            [
                lambda: self.number(0),
                lambda: f"({self.number(down)} {self.one('+', '-', '*')} {self.number(down)})",
                lambda: f"({self.number(down)} / {self.one('2.0', '0', 'n1')})",
                lambda: f"abs({self.number(down)})",
                lambda: f"coalesce({self.number(down)}, {self.number(down)})",
                lambda: f"nullif({self.number(down)}, {self.number(down)})",
                lambda: f"length({self.text(down)})",
                lambda: f"case when {self.condition(down)} then {self.number(down)} {self.one('', 'else 1')} end",
            ]
        )()

    def text(self, depth: int) -> str:
        down = depth - 1
        if depth <= 0:
            return self.one("t1", "t2", "'a'", "'ab'", "'B'")
        return self.chance.choice(
            [
                lambda: self.text(0),
                lambda: f"lower({self.text(down)})",
                lambda: f"({self.text(down)} || {self.text(down)})",
                lambda: f"coalesce({self.text(down)}, {self.text(down)})",
                lambda: f"substr({self.text(down)}, {self.one('1', '2')}, 1)",
                lambda: f"case {self.number(down)} when 1 then {self.text(down)} else {self.text(down)} end",
            ]
        )()

    def condition(self, depth: int) -> str:
        down = depth - 1
        maybe = self.one("", "not ")
        if depth <= 0:
            return self.one("b1", "b2", "n1 > 1", "n2 <= 2", "t1 = 'a'", "t2 is null")
        return self.chance.choice(
            [
                lambda: f"({self.condition(down)} {self.one('and', 'or')} {self.condition(down)})",
                lambda: f"({self.condition(down)} {self.one('and', 'or')} {self.condition(down)})",
                lambda: f"not ({self.condition(down)})",
                lambda: f"{self.number(down)} {self.one('<', '<=', '=', '<>', '>', '>=')} {self.number(down)}",
                lambda: f"{self.text(down)} {self.one('=', '<>')} {self.text(down)}",
                lambda: f"{self.one(self.number(down), self.text(down))} is {maybe}null",
                lambda: f"{self.number(down)} {maybe}in ({self.number(down)}, {self.one('1', 'null')})",
                lambda: f"{self.text(down)} {maybe}in ('a', {self.one('t2', 'null')})",
                lambda: f"{self.number(down)} {maybe}between {self.number(down)} and {self.number(down)}",
                lambda: f"{self.text(down)} {maybe}like '{self.one('a%', '_', '%b', '%', 'A_')}'",
                lambda: f"({self.condition(down)}) is {maybe}{self.one('true', 'false')}",
                lambda: f"{self.number(down)} is {maybe}distinct from {self.number(down)}",
                lambda: f"case when {self.condition(down)} then {self.condition(down)} {self.one('', 'else b1')} end",
            ]
        )()


@pytest.mark.parametrize("seed", range(6))
def test_a_random_condition_means_what_it_means_to_a_database(seed: int):
    conditions = Conditions(seed)
    pick = conditions.chance.choice
    rows = [
        *([pick([None, -2, 0, 1, 2, 3, 2.5]) for _ in range(2)] + [pick([None, "a", "b", "ab", "B"]) for _ in range(2)] + [pick([None, 0, 1]) for _ in range(2)] for _ in range(40)),
    ]  # fmt: skip
    database = sqlite3.connect(":memory:")
    database.execute("pragma case_sensitive_like = 1")
    database.execute("create table p (row, n1 real, n2 real, t1 text, t2 text, b1, b2)")
    database.executemany(
        "insert into p values (?, ?, ?, ?, ?, ?, ?)", [(index, *row) for index, row in enumerate(rows)]
    )
    written: list[list[Any]] = [
        [*(None if cell is None else str(cell) for cell in row[:4]), *(None if cell is None else ("no", "Yes")[cell] for cell in row[4:])]
        for row in rows
    ]  # fmt: skip
    frame = pl.DataFrame(written, schema=dict.fromkeys(["n1", "n2", "t1", "t2", "b1", "b2"], pl.String), orient="row")
    compared = 0
    for _ in range(150):
        # n1 and n2 are numbers in all of them.
        sql = f"({conditions.condition(3)}) and (n1 is null or n1 > -9) and (n2 is null or n2 > -9)"
        wanted = [index for (index,) in database.execute(f"select row from p where {sql} order by row")]
        mask, unread = parse_predicate(sql, columns=frame.columns).mask(frame)
        assert (mask.arg_true().to_list(), unread) == (wanted, {}), sql
        compared += 0 < len(wanted) < len(rows)
    database.close()
    assert compared > 50
