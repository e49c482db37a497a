from __future__ import annotations

import datetime as dt
import hashlib
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.hashing import hash_columns
from connector.profiles import cleaning
from connector.profiles.match_keys import MATCH_KEYS, PLAIN, WIRE_ORDER
from connector.profiles.normalise import _settled, _worked_out, normalise, reasons
from connector.profiles.places import COUNTRY
from connector.profiles.rules import Settings, rule_of
from connector.profiles.steps import explain_many

RULES = Settings(today=dt.date(2025, 11, 21))
KEYS = tuple(key.meta for key in MATCH_KEYS if key.meta != "PHONE")
HASHED = tuple(key for key in KEYS if key not in PLAIN and key != "DOB")
COUNTRIES = st.sampled_from([None, "US", "us", "Canada", "DE", "日本", "Atlantis", "PR", "n/a"])
HASH_OF_NOTHING = hashlib.sha256(b"").hexdigest()

# Fragments near every rule, glued to arbitrary text: what hypothesis alone would take years to find.
_FRAGMENTS = st.sampled_from(
    [
        "Anna", "O'Brien", "new york", "Québec", "D.C.", "94107-1234", "7030.0", "SW1A 1AA", "a@b.co", "..", "@", "1997-02-16",
        "3/4/97", "Feb 16", "null", "N/A", "unknown", "-", "nan", "İ", "i\u0307", "ß", "Σ", "e\u0301", "\u0301", "\u0345", "\u200b",
        "\u202e", "\ufe0f", "\u3164", "\u20e3", "\u00a0", "\u2003", "\t", "\x00", "\u00ad", "👩‍🚀", "1️⃣", "ℹ", "정", "ᄌ", "ﾔﾞ", "ー", "東京", "Łódź",
        "F", "Herr", "男", "a" * 64, "B" * 32, "c" * 40, "{", "}", "aebe52e7-03ee-455a-b3c4-e57283966239", "44.5", "1e3", "𝗣", "٣", "ᾳ",
    ]
)  # fmt: skip
_TEXT = st.text(max_size=8)
CELLS = st.none() | st.lists(_FRAGMENTS | _TEXT, max_size=4).map("".join)


def frame_of(key: str, cells: list[str | None], countries: list[str | None]):
    columns = {key: cells} if key == "COUNTRY" else {key: cells, "COUNTRY": countries}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def columns_of(key: str):
    return list(next(k.wire for k in MATCH_KEYS if k.meta == key))


def run(key: str, cells: list[str | None], countries: list[str | None]):
    raw = frame_of(key, cells, countries)
    values = normalise(raw, RULES)
    return values.select(columns_of(key)), reasons(raw, values, RULES).select(columns_of(key))


@pytest.mark.parametrize("key", KEYS)
@settings(deadline=None, max_examples=8)
@given(rows=st.lists(st.tuples(CELLS, COUNTRIES), min_size=20, max_size=40))
def test_any_unicode_goes_in_and_every_cell_is_a_value_or_a_reason(key: str, rows: list[tuple[str | None, str | None]]):
    values, why = run(key, [cell for cell, _ in rows], [country for _, country in rows])
    assert values.height == why.height == len(rows)
    assert set(values.dtypes) == {pl.String}
    for code in values.columns:
        for value, reason in zip(values[code], why[code], strict=True):
            assert (value is None) != (reason is None)
            assert value != ""


@pytest.mark.parametrize("key", HASHED)
@settings(deadline=None, max_examples=8)
@given(rows=st.lists(st.tuples(CELLS, COUNTRIES), min_size=20, max_size=40))
def test_normalising_twice_changes_nothing(key: str, rows: list[tuple[str | None, str | None]]):
    countries = [country for _, country in rows]
    once, _ = run(key, [cell for cell, _ in rows], countries)
    again, _ = run(key, once[key].to_list(), countries)
    assert again.to_dicts() == once.to_dicts()


@pytest.mark.parametrize("key", HASHED)
@settings(deadline=None, max_examples=8)
@given(
    cells=st.lists(CELLS, min_size=20, max_size=40),
    country=COUNTRIES,
    pad=st.sampled_from([" ", "\u00a0", "\t", "\u2003\n", "\u3000"]),
)
def test_composed_or_not_and_padded_or_not_is_the_same(
    key: str, cells: list[str | None], country: str | None, pad: str
):
    countries = [country] * len(cells)
    plain, _ = run(key, cells, countries)
    for change in (
        lambda cell: unicodedata.normalize("NFC", cell),
        lambda cell: unicodedata.normalize("NFD", cell),
        lambda cell: pad + cell + pad,
        lambda cell: "\u200b" + cell + "\u202c",
    ):
        changed, _ = run(key, [None if cell is None else change(cell) for cell in cells], countries)
        assert changed.to_dicts() == plain.to_dicts()


@settings(deadline=None, max_examples=8)
@given(rows=st.lists(st.tuples(*[CELLS] * len(KEYS)), min_size=1, max_size=12), data=st.data())
def test_row_order_and_frame_size_never_matter(rows: list[tuple[str | None, ...]], data: st.DataObject):
    raw = pl.DataFrame(rows, schema=dict.fromkeys(KEYS, pl.String), orient="row")
    whole = normalise(raw, RULES)
    order = data.draw(st.permutations(range(raw.height)))
    assert normalise(raw[order], RULES).to_dicts() == whole[order].to_dicts()
    alone = pl.concat([normalise(raw[row : row + 1], RULES) for row in range(raw.height)])
    assert alone.to_dicts() == whole.to_dicts()


@settings(deadline=None, max_examples=8)
@given(rows=st.lists(st.tuples(*[CELLS] * len(KEYS)), min_size=1, max_size=12))
def test_no_blank_is_ever_hashed(rows: list[tuple[str | None, ...]]):
    raw = pl.DataFrame(rows, schema=dict.fromkeys(KEYS, pl.String), orient="row")
    values = normalise(raw, RULES)
    hashed = hash_columns(values, plain=PLAIN)
    for code in hashed.columns:
        assert hashed[code].is_null().to_list() == values[code].is_null().to_list()
        assert HASH_OF_NOTHING not in hashed[code].to_list()
        if code not in PLAIN:
            assert hashed[code].drop_nulls().str.contains("^[0-9a-f]{64}$").all()


@settings(deadline=None, max_examples=8)
@given(rows=st.lists(st.tuples(st.sampled_from(KEYS), CELLS, COUNTRIES), max_size=20))
def test_explain_says_what_an_export_sends(rows: list[tuple[str, str | None, str | None]]):
    for (key, cell, country), explanation in zip(rows, explain_many(rows, settings=RULES), strict=True):
        values, why = run(key, [cell], [country])
        parts = values.row(0)
        assert explanation.normalised == (None if None in parts else "".join(parts))
        assert explanation.reason == why.row(0)[0]
        if explanation.steps and explanation.normalised is not None and key != "DOB":
            assert explanation.steps[-1].value == explanation.normalised


@pytest.mark.parametrize("key", [key for key in KEYS if key not in PLAIN])
@settings(deadline=None, max_examples=8)
@given(cells=st.lists(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30), min_size=1))
def test_steps_that_printable_ascii_skips_would_not_have_changed_it(key: str, cells: list[str]):
    rule = rule_of(key, RULES)
    text = pl.Series(cells).to_frame("cell")
    for steps in (rule.first, [step for step in rule.then if step.beyond_ascii]):
        every = text.select(cleaning.compose(pl.col("cell"), steps))
        fewer = text.select(cleaning.compose(pl.col("cell"), [step for step in steps if not step.beyond_ascii]))
        assert every.to_dicts() == fewer.to_dicts()


def test_an_empty_frame_gives_an_empty_frame():
    raw = pl.DataFrame(schema=dict.fromkeys(KEYS, pl.String))
    values = normalise(raw, RULES)
    assert values.height == 0
    assert values.columns == [code for code in WIRE_ORDER if code != "PHONE"]
    assert reasons(raw, values, RULES).shape == values.shape


_ADDRESSES = st.lists(
    st.sampled_from([*"aZk09.-_@ \t\x00\x7f", "K", "İ", "ſ", "é", "e\u0301", "\u200b", "\u00a0", "＠", "@x.", ".co", "a@b.co", "7.8"]),
    min_size=1,
    max_size=9,
).map("".join)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(cells=st.lists(_ADDRESSES | CELLS, min_size=20, max_size=40))
def test_what_plain_steps_settle_is_what_all_steps_and_checks_make_of_it(cells: list[str | None]):
    rule = rule_of("EMAIL", RULES)
    assert rule.settles is not None
    frame = pl.DataFrame({"cell": cells, COUNTRY: None}, schema={"cell": pl.String, COUNTRY: pl.String})
    assert _settled(frame, rule, rule.settles).to_list() == _worked_out(frame, rule).to_list()


def test_plain_steps_settle_an_address_and_leave_the_rest_to_the_rule():
    cells = [" Ada@X.example", "ada@x.example\t", "ada@\u200bx.example", "K@x.example", "ada@x.7", "ada", None]
    rule = rule_of("EMAIL", RULES)
    plain = pl.DataFrame(
        {"value": ["ada@x.example", "ada@x.example\t", "ada@\u200bx.example", "k@x.example", "ada@x.7", "ada", None]}
    )
    settled = plain.select(rule.settles(pl.col("value"))).to_series().to_list()
    assert settled == [True, False, False, True, False, False, None]
    values, _ = run("EMAIL", cells, [None] * len(cells))
    assert values["EMAIL"].to_list() == ["ada@x.example"] * 3 + ["k@x.example", None, None, None]
