"""The heart: rows to members, quickly or cell by cell, against plain Python; and how small that is."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.sandbox.cells import check_cells
from connector.sandbox.members import Members, Rows
from connector.sandbox.refusals import Refusal
from connector.sandbox.rows import PLACE, check_rows, lift_rows

KEYS = ("EXTERN_ID", "EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "CT", "ST", "ZIP", "COUNTRY")


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def people(count: int, seed: int = 0, blanks: float = 0.2) -> list[list[str]]:
    dice = random.Random(seed)
    return [
        [f"c{seed}-{n}", *("" if dice.random() < blanks else sha(f"{seed}{key}{n}") for key in KEYS[1:])]
        for n in range(count)
    ]


def body_of(keys: tuple[str, ...], rows: list[Any], separators: tuple[str, str] = (",", ":")) -> bytes:
    whole = {"session": {"session_id": 1}, "payload": {"schema": keys, "data": rows, "is_raw": True}}
    return json.dumps(whole, separators=separators, ensure_ascii=False).encode()


def quick(keys: tuple[str, ...], rows: list[Any]) -> Any:
    rest, cells = lift_rows(body_of(keys, rows))
    assert cells is not None
    assert json.loads(rest)["payload"] == {"schema": list(keys), "data": PLACE, "is_raw": True}
    return check_rows(keys, cells, digests=True)


def same(one: Any, two: Any) -> bool:
    return (
        (one.received, one.invalid, one.samples) == (two.received, two.invalid, two.samples)
        and np.array_equal(one.rows.digests, two.rows.digests)
        and all(np.array_equal(one.rows.prints[key], two.rows.prints[key]) for key in one.rows.prints)
    )


cell = st.one_of(
    st.just(""),
    st.integers(0, 5).map(sha),
    st.integers(0, 5).map(lambda n: sha(n).upper()),
    st.just("0" * 64),
    st.text(st.characters(min_codepoint=32, exclude_characters='"\\', exclude_categories=["Cs"]), max_size=5),
    st.just(sha(1)[:63] + "g"),
    st.just("]],[["),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=8))
def test_both_ways_to_check_rows_agree_on_everything(rows: list[tuple[str, str, str]]) -> None:
    keys = ("EXTERN_ID", "EMAIL", "FN")
    slow = check_cells(keys, [list(row) for row in rows], strict_case=True, digests=True)
    for separators in ((",", ":"), (", ", ": ")):
        _, cells = lift_rows(body_of(keys, rows, separators))
        if cells is not None:
            assert same(check_rows(keys, cells, digests=True), slow)
    if not any("]]" in one for row in rows for one in row):
        assert cells is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=30))
def test_rows_are_lifted_only_out_of_what_is_json_all_the_same(before: bytes, after: bytes) -> None:
    body = b'{"a":"' + before + b'","data":[["x","y"],["z",""]],"b":"' + after + b'"}'
    rest, cells = lift_rows(body)
    try:
        whole = json.loads(body)
    except ValueError:
        return
    if cells is not None:
        lifted = json.loads(rest)
        assert lifted["data"] == PLACE
        assert {**lifted, "data": cells.as_lists()} == whole
    else:
        assert rest == body


@pytest.mark.parametrize(
    "rows",
    [
        [["a", 1]],
        [["a", None]],
        [["a"], ["b", "c"]],
        [["a\\u0041", "b"]],
        [["a", ["LDU"]]],
        ["a", "b"],
        [],
        [[]],
    ],
)
def test_rows_that_are_not_plain_texts_go_cell_by_cell(rows: list[Any]) -> None:
    body = json.dumps({"payload": {"data": rows}}).encode()
    assert lift_rows(body) == (body, None)


@pytest.mark.parametrize(
    "body",
    [b'{"data":[["a\n"]]}', b'{"data":[["\xff"]]}', b'{"data":[["a"', b'{"data":[["a"]', b'{"x":"\\"data":[["a"]]}'],
)
def test_rows_that_are_no_json_are_left_to_the_parser(body: bytes) -> None:
    assert lift_rows(body) == (body, None)


def test_a_row_of_the_wrong_length_refuses_all() -> None:
    with pytest.raises(Refusal, match=r"\(#100\)|"):
        check_cells(("EMAIL",), [[sha(1)], [sha(1), sha(2)]], strict_case=True, digests=True)


operation = st.tuples(
    st.sampled_from(["add", "remove"]), st.sets(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=6)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(operation, max_size=12))
def test_members_are_the_set_that_plain_python_keeps(operations: list[tuple[str, set[tuple[int, int, int]]]]) -> None:
    keys = ("EMAIL", "FN", "ZIP")
    held, known = Members(), set()
    for what, numbers in operations:
        rows = [[sha(f"{key}{n}") if n else "" for key, n in zip(keys, row, strict=True)] for row in sorted(numbers)]
        checked = check_cells(keys, rows, strict_case=True, digests=True)
        members = {frozenset((k, c) for k, c in zip(keys, row, strict=True) if c) for row in rows} - {frozenset()}
        if what == "add":
            assert held.add(checked.rows) == len(members - known)
            known |= members
        else:
            gone = {member for member in known if any(wanted <= member for wanted in members)}
            assert held.remove(checked.rows) == len(gone)
            known -= gone
        total = sum(
            int.from_bytes(
                hashlib.sha256(json.dumps(sorted(map(list, m)), separators=(",", ":")).encode()).digest(), "big"
            )
            for m in known
        )
        assert (len(held), held.digest()) == (len(known), f"{total % 2**256:064x}")


def test_many_batches_with_repeats_and_removals_add_up() -> None:
    held, known = Members(), set()
    dice = random.Random(7)
    for number in range(30):
        rows = people(400, seed=dice.randrange(12))
        held.add(quick(KEYS, rows).rows)
        known |= {tuple(row) for row in rows}
        if number % 3 == 2:
            gone = {row[0] for row in dice.sample(sorted(known), 500)}
            held.remove(check_cells(("EXTERN_ID",), [[one] for one in gone], strict_case=True, digests=False).rows)
            known = {row for row in known if row[0] not in gone}
        assert len(held) == len(known)
    total = sum(
        int.from_bytes(
            hashlib.sha256(
                json.dumps(sorted([k, c] for k, c in zip(KEYS, row, strict=True) if c), separators=(",", ":")).encode()
            ).digest(),
            "big",
        )
        for row in known
    )
    assert held.digest() == f"{total % 2**256:064x}"


def test_an_old_index_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    import connector.sandbox.members as module

    monkeypatch.setattr(module, "TAIL", 50)
    held = Members()
    for seed in range(4):
        held.add(quick(KEYS, people(100, seed)).rows)
        assert (
            held.remove(
                check_cells(("EXTERN_ID",), [[f"c{seed}-{n}"] for n in range(10)], strict_case=True, digests=False).rows
            )
            == 10
        )
    for by in ("EMAIL", "PHONE", "FN"):
        place = KEYS.index(by)
        wanted = [[row[place]] for row in people(100, 2)[10:] if row[place]]
        assert held.remove(check_cells((by,), wanted, strict_case=True, digests=False).rows) == len(wanted)
        held.add(quick(KEYS, people(100, 2)[10:]).rows)
    assert len(held.indexes) <= 2
    assert len(held) == 4 * 90


def test_a_member_of_13_keys_takes_less_than_190_bytes() -> None:
    held, dice = Members(), np.random.default_rng(1)
    batch, batches = 10_000, 30
    for _ in range(batches):
        prints = {key: dice.integers(1, 2**63, batch, dtype=np.uint64) for key in KEYS}
        held.add(Rows(prints, dice.integers(0, 2**63, (batch, 4), dtype=np.uint64), batch))
    assert len(held) == batch * batches
    kept = sum(one.nbytes for one in (*held.columns.values(), held.digests, held.alive, held.table))
    assert kept / len(held) < 190


MANY = """
import resource, sys
import numpy as np
from connector.sandbox.members import Members, Rows

held, dice = Members(), np.random.default_rng(1)
for _ in range(1000):
    prints = {key: dice.integers(1, 2**63, 10_000, dtype=np.uint64) for key in sys.argv[1:]}
    held.add(Rows(prints, dice.integers(0, 2**63, (10_000, 4), dtype=np.uint64), 10_000))
assert held.remove(Rows({"EMAIL": prints["EMAIL"]}, None, 10_000)) == 10_000
assert len(held) == 9_990_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.stress
def test_ten_million_members_of_13_keys_stay_under_2_gb() -> None:
    done = subprocess.run([sys.executable, "-c", MANY, *KEYS], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 2e9
