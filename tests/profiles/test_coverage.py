"""Coverage counts every profile once per key, masks whatever it shows, and suspects what looks mapped wrong."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from connector.config import Config
from connector.profiles.coverage import Coverage, look_at
from connector.profiles.segments import open_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Look = Callable[..., Coverage]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Look at columns of cells through a mapping: a real CSV file, a real mapping file, a real segment."""

    def look(
        columns: dict[str, Sequence[str | None]],
        keys: str,
        *,
        identifier: str = "email",
        more: str = "",
        where: str = "",
        sample: int = 20_000,
        rows: int = 5,
    ) -> Coverage:
        (tmp_path / "mappings").mkdir(exist_ok=True)
        (tmp_path / "mappings" / "m.yaml").write_text(f"key_identifier: {identifier}\n{more}\nkeys: {{{keys}}}\n")
        condition = f", where: '{where}'" if where else ""
        (tmp_path / "connector.yaml").write_text(f"segments:\n  s: {{from: p.csv, mapping: m{condition}}}\n")
        pl.DataFrame(columns).write_csv(tmp_path / "p.csv")
        return look_at(open_segment(Config.load(tmp_path), "s"), sample=sample, rows=rows)

    return look


def emails(count: int) -> list[str]:
    return [f"person{n}@example{n % 7}.com" for n in range(count)]


def doubts(found: Coverage) -> dict[tuple[str | None, str], tuple[str, str]]:
    return {(s.key, s.code): (s.message, s.advice) for s in found.suspicions}


# counting


def test_every_profile_is_filled_blank_or_dropped_for_a_reason(look: Look):
    cells = ["a@example.com", None, "n/a", "mary", "x@", hashlib.md5(b"x").hexdigest(), "b@example.com"]
    found = look({"e": cells, "id": [str(n) for n in range(7)]}, "email: e, external_id: id")
    key = {k.code: k for k in found.keys}["EMAIL"]
    assert (key.filled, key.blank, key.dropped) == (2, 2, {"not_an_email": 2, "wrong_digest": 1})
    assert key.examples == {"not_an_email": ("m*** (no @)", "***@ (nothing after @)"), "wrong_digest": ("(a digest)",)}
    assert set(key.advice) == set(key.dropped)
    assert all(k.filled + k.blank + sum(k.dropped.values()) == found.looked_at for k in found.keys)


def test_profiles_without_consent_are_read_but_not_covered(look: Look):
    found = look(
        {"e": ["a@example.com", "b@example.com", "none"], "ok": ["yes", "no", "1"]}, "email: e", more="consent: ok"
    )
    assert (found.read, found.consenting, found.identified) == (3, 2, 1)
    assert (found.keys[0].filled, found.keys[0].blank) == (1, 1)


def test_where_nobody_consents_the_mapping_is_judged_all_the_same(look: Look):
    found = look({"e": emails(8), "ok": ["no"] * 8}, "email: e", more="consent: ok")
    assert (found.read, found.consenting, found.identified, found.extra) == (8, 0, 0, 0)
    assert found.keys[0].filled == 8
    assert "nobody" in doubts(found)[None, "no_consent"][0]


def test_further_addresses_are_counted_as_extra_rows_not_as_profiles(look: Look):
    found = look(
        {"a": ["a@example.com", "b@example.com", "x"], "b": ["a2@example.com", None, "y"]}, "email: [a, b], phone: a"
    )
    assert (found.identified, found.extra, found.keys[0].filled) == (2, 1, 2)


def test_a_birth_date_is_one_key_with_one_reason(look: Look):
    found = look({"e": emails(3), "d": ["1850-03-12", "1984-03-12", "3/4/1984"]}, "email: e, birth_date: d")
    key = {k.code: k for k in found.keys}["DOB"]
    assert (key.filled, key.dropped) == (1, {"out_of_range": 1, "ambiguous_date": 1})


def test_only_the_first_profiles_are_looked_at_and_the_answer_says_so(look: Look):
    columns = {"e": ["none"] * 10 + emails(10)}
    first = look(columns, "email: e", sample=10)
    assert (first.read, first.whole, first.keys[0].blank) == (10, False, 10)
    assert look(columns, "email: e", sample=20).whole


def test_the_same_look_twice_gives_the_same_answer(look: Look):
    columns = {"e": [f"x{n % 11}" for n in range(200)], "p": [str(n % 13) for n in range(200)]}
    answers = {json.dumps(look(columns, "email: e, phone: p").to_json()) for _ in range(3)}
    assert len(answers) == 1


def test_an_empty_source_has_no_coverage_and_no_suspicion(look: Look):
    found = look({"e": pl.Series([], dtype=pl.String)}, "email: e")
    assert (found.read, found.whole, found.rows, found.suspicions) == (0, True, (), ())
    assert (found.keys[0].filled, found.keys[0].blank) == (0, 0)


def test_a_value_that_is_the_same_for_all_has_no_column(look: Look):
    found = look({"e": emails(6)}, "email: e, country: {value: France}")
    assert [(k.code, k.columns, k.filled) for k in found.keys] == [("EMAIL", ("e",), 6), ("COUNTRY", (), 6)]
    assert found.suspicions == ()


# masking


def test_rows_show_every_cell_masked_before_and_after(look: Look):
    found = look(
        {"e": [" Mary@Example.com ", "-"], "f": ["Mary Ann", "123"]},
        "email: e, first_name: f",
        more="default_country: US",
    )
    first, second = (row.to_json() for row in found.rows)
    assert first == {
        "identified": True,
        "keys": {
            "EMAIL": {"before": "M***@E***.com", "after": "m***@e***.com", "reason": None},
            "FN": {"before": "M***", "after": "m***", "reason": None},
        },
    }
    assert second["identified"] is False
    assert second["keys"]["EMAIL"] == {"before": "(blank)", "after": None, "reason": "blank"}
    assert second["keys"]["FN"] == {"before": "*** (3 digits)", "after": None, "reason": "no_letter"}


def test_no_attribute_of_anyone_stands_in_what_is_given_back(look: Look):
    columns = {
        "e": ["zebedee@quuxmail.com", "zebedee-quux", *emails(20)],
        "p": ["+1 650 555 0199", "98765", *["call zebedee"] * 20],
        "l": ["Quuxworth", "77123", *["zebedee@quuxmail.com"] * 20],
        "d": ["1984-07-23", "23/07/1984x", *["23.07.84"] * 20],
        "id": ["zebedee-77", "x", *["zebedee@quuxmail.com"] * 20],
    }
    said = json.dumps(look(columns, "email: e, phone: p, last_name: l, birth_date: d, external_id: id").to_json())
    for attribute in ("zebedee", "quux", "Quux", "5550199", "98765", "77123", "07-23", "23/07", "23.07"):
        assert attribute not in said


# suspicions

MD5 = [hashlib.md5(str(n).encode()).hexdigest() for n in range(20)]


@pytest.mark.parametrize(
    ("key", "code", "cells", "words", "advice"),
    [
        ("phone", "PHONE", emails(20), "e-mail addresses", "belongs to email"),
        ("first_name", "FN", [str(1000 + n) for n in range(20)], "numbers", "another column"),
        ("last_name", "LN", [f"+1 650 555 01{n:02}" for n in range(20)], "phone numbers", "belongs to phone"),
        ("country", "COUNTRY", ["They live somewhere in the south"] * 20, "sentences", "another column"),
        ("postal_code", "ZIP", [f"{2000 + n}.0" for n in range(20)], "decimal numbers", "as text"),
        ("birth_date", "DOB", [str(1960 + n) for n in range(20)], "years", "birth_year"),
        ("birth_date", "DOB", [str(441763200 + n * 86400) for n in range(20)], "seconds since 1970", "SQL"),
        ("phone", "PHONE", [f"3.36{n:02}E+10" for n in range(20)], "spreadsheet rounded", "as text"),
        ("gender", "GEN", [f"19{60 + n}-01-02" for n in range(20)], "dates", "belongs to birth_date"),
        ("city", "CT", ["true", "false"] * 10, "yes and no", "another column"),
        ("first_name", "FN", MD5, "MD5 or SHA-1", "SHA-256"),
    ],
)
def test_a_column_of_another_kind_is_suspected(
    look: Look, key: str, code: str, cells: list[str], words: str, advice: str
):
    found = [s for s in look({"e": emails(20), "c": cells}, f"email: e, {key}: c").suspicions if s.key == code]
    assert len(found) == 1
    assert words in found[0].message
    assert f"{key} ← c: " in found[0].message
    assert advice in found[0].advice


def test_an_email_column_of_md5_is_named_with_what_to_do(look: Look):
    message, advice = doubts(look({"e": MD5}, "email: e"))["EMAIL", "looks_like_wrong_digest"]
    assert message == "email ← e: 100 % of the cells look like MD5 or SHA-1 digests"
    assert "hashed here" in advice


def test_a_column_of_sha256_is_nothing_to_suspect(look: Look):
    cells = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20)]
    assert look({"e": cells}, "email: e").suspicions == ()


def test_an_external_id_that_is_an_address_is_suspected_from_the_first_one(look: Look):
    ids = [f"C{n}" for n in range(299)] + ["mary@example.com"]
    message, advice = doubts(look({"e": emails(300), "id": ids}, "email: e, external_id: id"))[
        "EXTERN_ID", "readable_person"
    ]
    assert message == "external_id ← id: under 1 % of the cells are e-mail addresses, and this key leaves unhashed"
    assert "outside your company" in advice


def dates(pattern: str) -> list[str]:
    return [pattern.format(d=n % 28 + 1, m=n % 12 + 1, y=1950 + n % 50, yy=50 + n % 49) for n in range(120)]


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("{d}/{m:02}/{y}", 'format: "%d/%m/%Y"'),
        ("{m}/{d}/{y}", 'format: "%m/%d/%Y"'),
        ("{d:02}.{m:02}.{yy}", 'format: "%d.%m.%y"'),
        ("{m:02}-{d:02}-{y}", 'format: "%m-%d-%Y"'),
        ("{yy}{m:02}{d:02}", 'format: "%y%m%d"'),
    ],
)
def test_dates_that_cannot_be_read_get_the_format_that_reads_them(look: Look, pattern: str, advice: str):
    found = look({"e": emails(120), "d": dates(pattern)}, "email: e, birth_date: d")
    said = next(s for s in found.suspicions if s.key == "DOB")
    assert advice in said.advice
    assert "{from: d, " in said.advice
    assert "reads 100 %" in said.advice


def test_dates_that_may_be_read_both_ways_are_left_to_who_knows(look: Look):
    cells = [f"{n % 12 + 1}/{(n * 5) % 12 + 1}/1980" for n in range(60)]
    found = look({"e": emails(60), "d": cells}, "email: e, birth_date: d")
    _, advice = doubts(found)["DOB", "ambiguous_date"]
    assert "%d/%m/%Y" in advice
    assert "%m/%d/%Y" in advice
    assert "ask" in advice


def test_a_format_that_hinders_is_named(look: Look):
    found = look(
        {"e": emails(120), "d": dates("{y}-{m:02}-{d:02}")}, 'email: e, birth_date: {from: d, format: "%d/%m/%Y"}'
    )
    assert "Without `format:` 100 %" in doubts(found)["DOB", "not_a_date"][1]


def test_whole_names_in_the_first_name_are_suspected(look: Look):
    found = look({"e": emails(20), "n": [f"Mary Jones{n}" for n in range(20)]}, "email: e, first_name: n")
    assert "whole names" in doubts(found)["FN", "whole_names"][0]


def test_two_keys_that_read_one_column_are_suspected_but_not_name_and_initial(look: Look):
    columns = {"e": emails(20), "n": ["Mary", "Ann", "Eve", "Zoe"] * 5}
    assert ("LN", "shared_column") in doubts(look(columns, "email: e, first_name: n, last_name: n"))
    assert look(columns, "email: e, first_name: n, first_initial: n").suspicions == ()


def test_phones_without_a_country_ask_for_the_default(look: Look):
    cells = [f"06 39 98 {n:02} 34" for n in range(20)]
    found = look({"e": emails(20), "p": cells}, "email: e, phone: p")
    message, advice = doubts(found)["PHONE", "no_country"]
    assert message == "phone ← p: 100 % of the cells are dropped, most as no country"
    assert "default_country" in advice
    assert look({"e": emails(20), "p": cells}, "email: e, phone: p", more="default_country: FR").suspicions == ()


def test_a_state_column_of_unknown_words_is_suspected(look: Look):
    found = look({"e": emails(20), "s": ["Bayern"] * 20}, "email: e, state: s", more="default_country: US")
    assert "country" in doubts(found)["ST", "unknown_state"][1]


def test_a_column_that_is_always_blank_is_named(look: Look):
    found = look({"e": emails(20), "f": ["n/a", None] * 10}, "email: e, first_name: f")
    assert "every cell" in doubts(found)["FN", "empty"][0]


def test_a_placeholder_is_shown_masked(look: Look):
    cells = [*emails(100), *["nomail@shop.example.com"] * 12]
    message, advice = doubts(look({"e": cells}, "email: e"))["EMAIL", "placeholder"]
    assert message == "email ← e: one value, n***@s***.com, fills 11 % of the cells"
    assert "blank" in advice


def test_another_key_identifier_is_offered_when_it_would_let_many_more_go(look: Look):
    columns = {"e": [*emails(5), *[None] * 35], "p": [f"+1 650 555 01{n:02}" for n in range(40)]}
    message, advice = doubts(look(columns, "email: e, phone: p"))[None, "few_identified"]
    assert message == "only 12 % of the consenting profiles hold the key identifier, email"
    assert advice == "`key_identifier: phone` would let 100 % of them go."


def test_consent_words_that_are_neither_yes_nor_no_are_shown_masked(look: Look):
    found = look({"e": emails(10), "ok": ["yes"] * 8 + ["Perhaps"] * 2}, "email: e", more="consent: ok")
    message, _ = doubts(found)[None, "consent_words"]
    assert "20 % of the cells are neither yes nor no (most often P*** (7 letters))" in message


def test_cells_that_where_cannot_read_are_counted(look: Look):
    found = look({"e": emails(10), "n": ["5"] * 8 + ["many"] * 2}, "email: e", where="n >= 3")
    assert found.read == 8
    assert doubts(found)[None, "where_unparsable"][0].startswith("where ← n: 2 cells could not be read")


def test_consent_in_where_is_better_left_to_the_mapping(look: Look):
    found = look({"e": emails(10), "ok": ["true"] * 8 + ["はい"] * 2}, "email: e", more="consent: ok", where="ok")
    assert "`consent:`" in doubts(found)[None, "where_unparsable"][1]


def test_good_everyday_columns_are_not_suspected(look: Look):
    size = 60
    columns = {
        "e": emails(size),
        "p": [f"(650) 555-01{n:02}" for n in range(size)],
        "f": ["Mary", "Jean-Luc", "María José", "愛子", "Al"] * 12,
        "l": ["Jones", "de la Cruz", "O'Brien", "山田", "van den Berg"] * 12,
        "g": ["f", "Herr", "male", "女"] * 15,
        "d": [f"19{60 + n % 30}-0{n % 9 + 1}-1{n % 9}" for n in range(size)],
        "c": ["New York", "San José", "St. John's"] * 20,
        "s": ["NY", "California", "tx"] * 20,
        "z": ["10057", "94107-1234", "07030"] * 20,
        "k": ["US", "usa", "United States"] * 20,
        "id": [f"{70000 + n}" for n in range(size)],
    }
    keys = "email: e, phone: p, first_name: f, last_name: l, gender: g, birth_date: d, city: c, state: s, postal_code: z, country: k, external_id: id"
    assert look(columns, keys, more="default_country: US").suspicions == ()
