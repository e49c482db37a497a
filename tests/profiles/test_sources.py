from __future__ import annotations

import datetime as dt
import gzip
import json
import re
import sqlite3
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.config import Query, TableFile
from connector.errors import ConfigError, SourceError
from connector.profiles.files import File
from connector.profiles.json_lines import JsonLinesFile
from connector.profiles.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from connector.profiles.sources import Source

CANARY = "ringelnatz"
PEOPLE = pl.DataFrame({"id": ["001", "002", "003"], "email": ["a@b.c", None, "d@e.f"], "orders": ["3", "0", "12"]})


def rows_of(source: Source | JsonLinesFile, *columns: str) -> list[tuple[Any, ...]]:
    return [row for frame in source.frames(columns or source.columns(), rows=1000) for row in frame.rows()]


def refusal(path: Path | str, *columns: str, **spec: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        rows_of(open_source(TableFile(str(path), **spec)), *columns)
    return caught.value


def everything_said(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{error!s} {error!r} {vars(error)}" + everything_said(error.__cause__) + everything_said(error.__context__)


# --- files and globs ---------------------------------------------------------------------------------------------------


def write(path: Path) -> Path:
    match path.suffixes:
        case [".csv"]:
            PEOPLE.write_csv(path)
        case [".tsv"]:
            PEOPLE.write_csv(path, separator="\t")
        case [".txt"]:
            PEOPLE.write_csv(path, separator="|")
        case [".csv", ".gz"]:
            path.write_bytes(gzip.compress(PEOPLE.write_csv().encode("utf-16")))
        case [".ndjson"] | [".jsonl"]:
            PEOPLE.write_ndjson(path)
        case [".ndjson", ".gz"]:
            path.write_bytes(gzip.compress(PEOPLE.write_ndjson().encode()))
        case [".parquet"]:
            PEOPLE.write_parquet(path)
        case _:
            PEOPLE.write_ipc(path, compression="lz4")
    return path


FORMATS = [
    *("csv", "tsv", "txt", "csv.gz", "ndjson", "jsonl", "ndjson.gz"),
    *("parquet", "arrow", "ipc", "feather", "CSV.GZ".lower()),
]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_text(tmp_path: Path, suffix: str):
    path = write(tmp_path / f"people.{suffix}")
    source = open_source(TableFile(str(path)))
    assert source.name == str(path)
    assert source.columns() == ("id", "email", "orders")
    (frame,) = source.frames(["orders", "id"])
    assert frame.equals(PEOPLE.select("orders", "id"))
    assert rows_of(source, "email") == [("a@b.c",), (None,), ("d@e.f",)]


def test_a_glob_is_one_table_in_the_order_of_its_names(tmp_path: Path):
    (tmp_path / "2.csv").write_text("email;id\nb@x.y;2\n")
    (tmp_path / "1.csv").write_text("id,extra,email\n1,-,a@x.y\n")
    (tmp_path / "10.csv").write_bytes("id\temail\n10\tc@x.y\n".encode("utf-16"))
    pl.DataFrame({"email": ["d@x.y"], "id": [3]}).write_parquet(tmp_path / "3.parquet")
    source = open_source(TableFile(f"{tmp_path}/*.*"))
    assert source.name == f"{tmp_path}/*.*"
    assert source.columns() == ("id", "extra", "email")
    assert rows_of(source, "id", "email") == [("1", "a@x.y"), ("10", "c@x.y"), ("2", "b@x.y"), ("3", "d@x.y")]


def test_a_file_of_a_glob_that_lacks_a_column_is_named_before_anything_is_read(tmp_path: Path):
    (tmp_path / "1.csv").write_text("id,email\n1,a@x.y\n")
    (tmp_path / "2.csv").write_text("id,e-mail\n2,b@x.y\n")
    frames = open_source(TableFile(f"{tmp_path}/*.csv")).frames(["id", "email"])
    with pytest.raises(SourceError) as caught:
        next(frames)
    assert caught.value.file == f"{tmp_path}/2.csv"
    assert caught.value.code == "source.column"
    assert caught.value.hint == 'Did you mean "e-mail"?'


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_a_column_that_is_not_there_is_refused_with_the_nearest_one(tmp_path: Path, suffix: str):
    error = refusal(write(tmp_path / f"people.{suffix}"), "id", "emial")
    assert (error.code, error.hint) == ("source.column", 'Did you mean "email"?')


def test_globs_may_cross_folders_and_names_may_hold_brackets(tmp_path: Path):
    for name in ("2024/01/a.csv", "2024/02/a.csv", "a[1].csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"id\n{name}\n")
    assert rows_of(open_source(TableFile(f"{tmp_path}/2024/**/*.csv"))) == [("2024/01/a.csv",), ("2024/02/a.csv",)]
    assert rows_of(open_source(TableFile(f"{tmp_path}/a[1].csv"))) == [("a[1].csv",)]
    assert rows_of(open_source(TableFile(f"file://{tmp_path}/a%5B1%5D.csv"))) == [("a[1].csv",)]


@pytest.mark.parametrize("name", ["nothing.csv", "*.csv", "folder"])
def test_what_is_not_there_is_a_source_error(tmp_path: Path, name: str):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError) as caught:
        open_source(TableFile(f"{tmp_path}/{name}"))
    assert caught.value.code == "source.missing"
    assert caught.value.file == f"{tmp_path}/{name}"


def test_a_file_that_goes_away_is_a_source_error(tmp_path: Path):
    source = open_source(TableFile(str(write(tmp_path / "people.csv"))))
    (tmp_path / "people.csv").unlink()
    with pytest.raises(SourceError) as caught:
        source.columns()
    assert caught.value.code == "source.missing"
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(SourceError) as caught:
        source.columns()
    assert caught.value.code == "source.unreadable"


@pytest.mark.parametrize("name", ["people.xlsx", "people", "people.parquet.gz"])
def test_a_format_that_is_not_known_is_a_config_error(tmp_path: Path, name: str):
    (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError) as caught:
        open_source(TableFile(f"{tmp_path}/{name}"))
    assert caught.value.code == "config.format"
    assert ("Save it as CSV" in (caught.value.hint or "")) == name.endswith(".xlsx")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_damaged_columnar_file_is_refused(tmp_path: Path, suffix: str):
    whole = write(tmp_path / f"people.{suffix}").read_bytes()
    for content in (whole[:-20], b"", b"id,email\n1,2\n"):
        (tmp_path / f"people.{suffix}").write_bytes(content)
        assert refusal(tmp_path / f"people.{suffix}").code == "source.damaged"


def test_columnar_frames_are_bounded_and_in_order(tmp_path: Path):
    numbers = pl.DataFrame({"n": range(300_000)})
    numbers.write_parquet(tmp_path / "n.parquet", row_group_size=70_000)
    numbers.write_ipc(tmp_path / "n.arrow")
    for name in ("n.parquet", "n.arrow"):
        frames = list(open_source(TableFile(str(tmp_path / name))).frames(["n"], rows=50_000))
        assert max(frame.height for frame in frames) == 50_000
        assert pl.concat(frames).to_series().cast(pl.Int64).to_list() == list(range(300_000))


# --- typed cells -------------------------------------------------------------------------------------------------------

TYPED: list[tuple[Any, list[Any], list[Any]]] = [
    (pl.Int64, [1, -5, None], ["1", "-5", None]),
    (pl.UInt64, [2**64 - 1, 0, None], ["18446744073709551615", "0", None]),
    (pl.Float64, [2139.0, 0.1, float("nan")], ["2139", "0.1", None]),
    (pl.Float64, [1e20, -0.0, float("inf")], ["100000000000000000000", "0", None]),
    (pl.Float64, [33612345678.0, 1234567.125, None], ["33612345678", "1234567.125", None]),
    (pl.Float32, [0.1, 75001.0, None], ["0.1", "75001", None]),
    (pl.Decimal(20, 2), [Decimal("12.50"), Decimal("100.00"), None], ["12.5", "100", None]),
    (pl.Boolean, [True, False, None], ["true", "false", None]),
    (pl.Date, [dt.date(1990, 5, 1), dt.date(1, 1, 1), None], ["1990-05-01", "0001-01-01", None]),
    (pl.Datetime("us"), [dt.datetime(1990, 5, 1), dt.datetime(1990, 5, 1, 13, 45, 1, 120_000), None],  # noqa: DTZ001  naive on purpose
     ["1990-05-01T00:00:00", "1990-05-01T13:45:01.120", None]),
    (pl.Datetime("us", "Europe/Paris"), [dt.datetime(1990, 4, 30, 22, tzinfo=dt.UTC), None, None],
     ["1990-05-01T00:00:00+02:00", None, None]),
    (pl.Time, [dt.time(13, 45), None, None], ["13:45:00", None, None]),
    (pl.Binary, [b"Zo\xc3\xab", b"", None], ["Zoë", None, None]),
    (pl.Binary, [b"Zoe", b"\xff\x00", None], ["Zoe", "ff00", None]),
    (pl.Binary, [b"\x00\x01", b"x", None], ["0001", "x", None]),
    (pl.Categorical, ["a", "b", None], ["a", "b", None]),
    (pl.Enum(["a", "b"]), ["a", "b", None], ["a", "b", None]),
    (pl.Null, [None, None, None], [None, None, None]),
    (pl.String, ["", "-", " x "], [None, None, " x "]),
    (pl.List(pl.String), [["a@b.c", "d@e.f"], [], None], [["a@b.c", "d@e.f"], [], None]),
    (pl.List(pl.Int64), [[1, None], [2], None], [["1", None], ["2"], None]),
    (pl.Array(pl.String, 2), [["a", "b"], None, None], [["a", "b"], None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "values", "text"), TYPED)
def test_typed_cells_become_text_by_one_rule(tmp_path: Path, dtype: Any, values: list[Any], text: list[Any]):
    pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).write_parquet(tmp_path / "x.parquet")
    (frame,) = open_source(TableFile(str(tmp_path / "x.parquet"), null=("-",))).frames(["x"])
    assert frame["x"].to_list() == text
    assert frame.dtypes[0] == (pl.List(pl.String) if any(isinstance(each, list) for each in text) else pl.String)


@pytest.mark.parametrize("values", [[{"a": CANARY}], [[{"a": CANARY}]], [[[CANARY]]], [dt.timedelta(1)]])
def test_a_nested_column_is_refused_when_it_is_asked_for(tmp_path: Path, values: list[Any]):
    pl.DataFrame({"x": values, "y": [1]}).write_parquet(tmp_path / "x.parquet")
    assert rows_of(open_source(TableFile(str(tmp_path / "x.parquet"))), "y") == [("1",)]
    error = refusal(tmp_path / "x.parquet", "x")
    assert error.code == "source.type"
    assert CANARY not in everything_said(error)


# --- NDJSON ------------------------------------------------------------------------------------------------------------


def ndjson(folder: Path, content: str | bytes, *, block: int = 1 << 20, **spec: Any) -> JsonLinesFile:
    path = folder / "people.ndjson"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return JsonLinesFile(File(str(path), str(path)), TableFile(str(path), **spec), block=block)


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_ndjson_is_text_and_keys_may_come_late(tmp_path: Path, block: int):
    file = ndjson(
        tmp_path,
        '{"id":7,"zip":"02139","big":123456789012345678901234567890}\n\n  \r\n'
        '{"zip":null,"score":1.50,"whole":3.0}\r\n{"id":"","ok":true,"late":"é \\u00e9 \\ud83d\\ude00"}',
        block=block,
    )
    assert file.columns() == ("id", "zip", "big", "score", "whole", "ok", "late")
    assert rows_of(file) == [
        ("7", "02139", "123456789012345678901234567890", None, None, None, None),
        (None, None, None, "1.5", "3", None, None),
        (None, None, None, None, None, "true", "é é 😀"),
    ]


def test_a_key_that_begins_late_in_a_large_file_is_a_column(tmp_path: Path):
    file = ndjson(tmp_path, '{"a":1}\n' * 100_000 + '{"a":1,"late":2}\n', block=200_000)
    assert file.columns() == ("a", "late")


def test_json_arrays_are_lists(tmp_path: Path):
    file = ndjson(
        tmp_path, '{"m":["a@b.c","d@e.f"]}\n{"m":null}\n{}\n{"m":[]}\n{"m":[1,2.50,null,true]}\n{"m":["[x]"]}\n'
    )
    (frame,) = file.frames(["m"], rows=10)
    assert frame.dtypes == [pl.List(pl.String)]
    assert frame["m"].to_list() == [["a@b.c", "d@e.f"], None, None, [], ["1", "2.5", None, "true"], ["[x]"]]


def test_single_values_among_json_arrays_become_lists_of_one(tmp_path: Path):
    file = ndjson(tmp_path, '{"m":["a"]}\n{"m":"[b]"}\n\n{"m":3}\n{"m":null}\n')
    assert rows_of(file) == [(["a"],), (["[b]"],), (["3"],), (None,)]


def test_text_that_looks_like_json_stays_text(tmp_path: Path):
    assert rows_of(ndjson(tmp_path, '{"m":"[b]"}\n{"m":"{c}"}\n{"m":"["}\n')) == [("[b]",), ("{c}",), ("[",)]


def test_null_words_and_encodings_hold_for_ndjson_too(tmp_path: Path):
    assert rows_of(ndjson(tmp_path, '{"a":"-"}\n{"a":"Zoë"}\n'.encode("utf-16"), null=("-",))) == [(None,), ("Zoë",)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ('{"a":', "source.json"),
        (f'{{"a":"{CANARY}"', "source.json"),
        (f'{{"a":"{CANARY}"}} x', "source.json"),
        (f"{{'a':'{CANARY}'}}", "source.json"),
        ('{"a":NaN}', "source.json"),
        ('{"a":1e400}', "source.json"),
        (f'["{CANARY}"]', "source.json"),
        (f'"{CANARY}"', "source.json"),
        ("null", "source.json"),
        ('{"a":"\\ud83d"}', "source.json"),
        (f'{{"a":{{"b":"{CANARY}"}}}}', "source.type"),
        (f'{{"a":[["{CANARY}"]]}}', "source.type"),
        (f'{{"a":[{{"b":"{CANARY}"}}]}}', "source.type"),
    ],
)
@pytest.mark.parametrize("block", [16, 1 << 20])
def test_a_bad_line_of_ndjson_is_refused_with_its_number(tmp_path: Path, bad: str, code: str, block: int):
    good = '{"a":"x","b":"y"}\n\n{"a":"z"}\n'
    file = ndjson(tmp_path, good + bad + "\n" + good, block=block)
    with pytest.raises(SourceError) as caught:
        rows_of(file, "a", "b")
    assert (caught.value.line, caught.value.code) == (4, code)
    assert CANARY not in everything_said(caught.value)


def test_a_line_of_ndjson_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connector.profiles.json_lines.LINE_BYTES", 1000)
    with pytest.raises(SourceError) as caught:
        ndjson(tmp_path, '{"a":1}\n{"a":"' + "x" * 10_000 + '"}\n', block=100).columns()
    assert (caught.value.line, caught.value.code) == (2, "source.json")


def test_a_json_document_is_no_ndjson(tmp_path: Path):
    with pytest.raises(SourceError) as caught:
        ndjson(tmp_path, '[{"a":1},\n{"a":2}]\n').columns()
    assert (caught.value.line, caught.value.code) == (1, "source.json")
    with pytest.raises(SourceError) as caught:
        ndjson(tmp_path, "\n \n").columns()
    assert caught.value.code == "source.empty"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    objects=st.lists(
        st.dictionaries(st.sampled_from("abc"), SCALARS | st.lists(SCALARS, max_size=3), min_size=1),
        min_size=1,
        max_size=8,
    ),
    block=st.sampled_from([1, 30, 1 << 20]),
    ascii_only=st.booleans(),
)
def test_what_json_writes_is_read_back(tmp_path: Path, objects: list[dict[str, Any]], block: int, ascii_only: bool):
    def text(value: Any) -> str | None:
        return None if value is None else json.dumps(value) if isinstance(value, bool) else str(value)

    content = "".join(json.dumps(each, ensure_ascii=ascii_only) + "\n" for each in objects)
    found = rows_of(ndjson(tmp_path, content, block=block), "a", "b", "c")
    for row, wanted in zip(found, objects, strict=True):
        for cell, key in zip(row, "abc", strict=True):
            value = wanted.get(key)
            if isinstance(value, list):
                assert cell == [text(each) for each in value]
            else:
                assert cell in (text(value) or None, [text(value)])


# --- SQL ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A SQLite database behind the environment variable SHOP_URL."""
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table people (id integer, email text, score real, mixed)")
        people = [
            (1, "a@b.c", 1.0, 1),
            (2, None, 2.5, "x"),
            (3, "", None, 2.0),
            (10**15, f"{CANARY}@x.y", 0.1, b"\xff"),
        ]
        database.executemany("insert into people values (?, ?, ?, ?)", people)
    database.close()
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path}/shop.db")
    return "SHOP_URL"


def query(sql: str, variable: str = "SHOP_URL") -> Source:
    return open_source(Query("shop", variable, sql, "queries/people.sql"))


def test_a_query_gives_text(shop: str):
    source = query("select * from people order by id;\n")
    assert source.name == "queries/people.sql"
    assert source.columns() == ("id", "email", "score", "mixed")
    assert rows_of(source, "mixed", "id", "email", "score") == [
        ("1", "1", "a@b.c", "1"),
        ("x", "2", None, "2.5"),
        ("2", "3", None, None),
        ("ff", "1000000000000000", f"{CANARY}@x.y", "0.1"),
    ]


def test_bytes_that_a_driver_hands_over_as_a_view_are_read(shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sqlite3.register_converter("view", memoryview)
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path}/shop.db?detect_types=1")
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table views (v view)")
        database.executemany("insert into views values (?)", [(b"abc",), (None,)])
    database.close()
    assert rows_of(query("select v from views")) == [("abc",), (None,)]


def test_frames_of_a_query_are_bounded(shop: str):
    frames = list(
        query("with recursive n(i) as (select 1 union all select i + 1 from n where i < 10) select i from n").frames(
            ["i"], rows=4
        )
    )
    assert [frame.height for frame in frames] == [4, 4, 2]


def test_percent_and_colon_in_a_query_stay_what_they_are(shop: str):
    assert rows_of(query("select ':x %s %(y)s' as a where 'a%b' like 'a%'")) == [(":x %s %(y)s",)]


def test_a_query_changes_nothing(shop: str):
    assert rows_of(query("delete from people returning id"))
    assert len(rows_of(query("select id from people"))) == 4


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("selec 1", "source.database"),
        ("select nope from people", "source.database"),
        (f"select * from people where email = '{CANARY}' and nope", "source.database"),
        (f"select abs('{CANARY}', 2)", "source.database"),
        ("update people set id = 1", "source.database"),
        ("select 1; select 2", "source.database"),
        ("select '\0'", "source.database"),
        ("select '\ud800'", "source.database"),
        (f"select cast(cast('{CANARY}' as blob) || x'ff' as text) as x", "source.database"),
        ("select id, email as id from people", "source.header"),
    ],
)
def test_a_query_that_fails_is_a_source_error_without_a_cell(shop: str, sql: str, code: str):
    with pytest.raises(SourceError) as caught:
        rows_of(query(sql))
    assert (caught.value.code, caught.value.file) == (code, "queries/people.sql")
    assert CANARY not in everything_said(caught.value)
    assert "shop.db" not in everything_said(caught.value)


def test_a_column_that_a_query_lacks_is_refused(shop: str):
    with pytest.raises(SourceError) as caught:
        rows_of(query("select * from people"), "emial")
    assert (caught.value.code, caught.value.hint) == ("source.column", 'Did you mean "email"?')


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        f"nosuch://u:{CANARY}@h/d",
        f"mysql+nosuch://u:{CANARY}@h/d",
        f"mysql+pymysql://u:{CANARY}@h/d",
        f"postgresql://u:{CANARY}@h:x/d",
    ],
)
def test_a_url_that_is_none_is_a_config_error_and_never_shown(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("SHOP_URL", url)
    with pytest.raises(ConfigError) as caught:
        query("select 1 as a").columns()
    assert "SHOP_URL" in str(caught.value)
    assert CANARY not in everything_said(caught.value)


def test_a_variable_that_is_not_set_is_a_config_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(ConfigError) as caught:
        query("select 1 as a").columns()
    assert caught.value.code == "config.environment"


def test_a_database_that_cannot_be_reached_is_a_source_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_URL", f"postgresql+psycopg://u:{CANARY}@127.0.0.1:1/d")
    with pytest.raises(SourceError) as caught:
        query("select 1 as a").columns()
    assert caught.value.code == "source.database"
    assert CANARY not in everything_said(caught.value)


def test_postgresql_gives_text_for_its_own_types(monkeypatch: pytest.MonkeyPatch, postgres_url: str):
    monkeypatch.setenv("SHOP_URL", postgres_url)
    source = query(
        "select 12.50::numeric as a, '1990-05-01'::date as b, '1990-05-01 10:00'::timestamp as c, true as d, array['x', null] as e, "
        "'abc'::bytea as f, '00000000-0000-0000-0000-00000000000a'::uuid as g, 99999999999999999999::numeric as h, "
        "'1990-05-01 00:00+00'::timestamptz as i, null as j, 75001.0::float8 as k"
    )
    (row,) = rows_of(source)
    assert row[:5] == ("12.5", "1990-05-01", "1990-05-01T10:00:00", "true", ["x", None])
    assert row[5:7] == ("abc", "00000000-0000-0000-0000-00000000000a")
    assert dt.datetime.fromisoformat(row[8]) == dt.datetime(1990, 5, 1, tzinfo=dt.UTC)
    assert (row[7], *row[9:]) == ("99999999999999999999", None, "75001")


def test_postgresql_streams_and_names_only_the_sqlstate(monkeypatch: pytest.MonkeyPatch, postgres_url: str):
    monkeypatch.setenv("SHOP_URL", postgres_url)
    frames = query(f"select '{CANARY}' || (1000 / (70000 - g)) as x from generate_series(1, 10000000) g").frames(
        ["x"], rows=1000
    )
    assert next(frames).height == 1000
    with pytest.raises(SourceError) as caught:
        list(frames)
    assert "SQLSTATE 22012" in str(caught.value)
    assert CANARY not in everything_said(caught.value)
    for sql, kind in (
        ("select '{\"a\": 1}'::jsonb as x", "structures"),
        ("select '127.0.0.1'::inet as x", "Object"),
        ("select array[array[1]] as x", "lists"),
        ("select '[1, \"x\"]'::jsonb as x", "type list"),
    ):
        with pytest.raises(SourceError) as caught:
            rows_of(query(sql))
        assert caught.value.code == "source.type"
        assert kind in str(caught.value)


# --- object stores -----------------------------------------------------------------------------------------------------


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as reading takes: list, head, get with a range. The bucket is a folder."""

    folder: Path

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parameters = parse_qs(url.query)
        if "list-type" in parameters:
            return self.answer(200, self.listed(parameters.get("prefix", [""])[0]), {})
        if "forbidden" in url.path and (self.command == "GET" or "head" in url.path):
            return self.answer(403, f"<Error><Code>AccessDenied</Code><Message>{CANARY}</Message></Error>".encode(), {})
        file = self.folder / unquote(url.path).removeprefix("/bucket/")
        if not file.is_file():
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
        data = file.read_bytes()
        headers = {"ETag": '"x"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        wanted = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if wanted is None:
            return self.answer(200, data, headers)
        first = int(wanted[1]) if wanted[1] else max(len(data) - int(wanted[2]), 0)
        last = min(int(wanted[2]), len(data) - 1) if wanted[1] and wanted[2] else len(data) - 1
        return self.answer(
            206, data[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        )

    def listed(self, prefix: str) -> bytes:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        keys = [key for path in files if (key := str(path.relative_to(self.folder))).startswith(prefix)]
        entries = (
            f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><Size>{(self.folder / key).stat().st_size}</Size></Contents>"
            for key in keys
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(entries)}</ListBucketResult>".encode()

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def store() -> Iterator[ThreadingHTTPServer]:
    """One server for all tests: polars keeps its connection to a bucket."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: ThreadingHTTPServer) -> Path:
    """The folder behind s3://bucket."""
    monkeypatch.setattr(Bucket, "folder", tmp_path, raising=False)
    endpoint = {"ENDPOINT_URL": f"http://127.0.0.1:{store.server_port}", "ALLOW_HTTP": "true", "REGION": "eu-west-1"}
    for name, value in {**endpoint, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": CANARY}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return tmp_path


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "ndjson", "parquet", "arrow"])
def test_an_object_is_read_as_a_file_is(bucket: Path, suffix: str):
    write(bucket / f"people.{suffix}")
    source = open_source(TableFile(f"s3://bucket/people.{suffix}"))
    assert source.name == f"s3://bucket/people.{suffix}"
    (frame,) = source.frames(source.columns())
    assert frame.equals(PEOPLE)


def test_a_glob_of_objects_is_one_table(bucket: Path):
    for name in ("in/1/a.csv", "in/2/a.csv", "in/2/b/a.csv", "in/a.csv"):
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / name).write_text(f"id\n{name}\n")
    assert rows_of(open_source(TableFile("s3://bucket/in/*/a.csv"))) == [("in/1/a.csv",), ("in/2/a.csv",)]
    assert len(rows_of(open_source(TableFile("s3://bucket/in/**/a.csv")))) == 3


@pytest.mark.parametrize("name", ["none.csv", "none.parquet", "*.csv"])
def test_an_object_that_is_not_there_is_a_source_error(bucket: Path, name: str):
    error = refusal(f"s3://bucket/{name}")
    assert (error.code, error.file) == ("source.missing", f"s3://bucket/{name}")
    assert CANARY not in everything_said(error)


@pytest.mark.parametrize(
    ("name", "code"), [("forbidden.csv", "source.damaged"), ("forbidden-head.csv", "source.unreadable")]
)
def test_an_object_that_may_not_be_read_is_a_source_error(bucket: Path, name: str, code: str):
    (bucket / name).write_text("id\n1\n")
    error = refusal(f"s3://bucket/{name}")
    assert (error.code, error.file) == (code, f"s3://bucket/{name}")
    assert CANARY not in everything_said(error)


def test_without_its_package_an_object_store_is_a_config_error_with_the_install_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError) as caught:
        rows_of(open_source(TableFile("s3://bucket/people.csv")))
    assert "audience-connector[object-store]" in (caught.value.hint or "")


@pytest.mark.parametrize("path", ["ftp://h/x.csv", f"https://u:{CANARY}@h/x.csv?sig={CANARY}"])
def test_another_scheme_is_a_config_error_without_its_secrets(path: str):
    with pytest.raises(ConfigError) as caught:
        open_source(TableFile(path))
    assert caught.value.code == "config.scheme"
    assert CANARY not in everything_said(caught.value)
