"""Taking people out for good: by everything the ledger holds of them, but for what somebody who stays holds as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.audiences.erasure import Found, identifiers
from connector.audiences.removal_rows import concat_removals
from connector.state import State
from tests.audience_model import Person, Row, cells, names_of
from tests.by_hand import digest_of, sha
from tests.ledger_people import kept_rows, prints_of, slice_of
from tests.sandbox_control import script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
slices = st.lists(
    st.lists(
        st.builds(
            Person,
            id=st.sampled_from(["", "1", "2"]),
            emails=st.lists(st.sampled_from(["a@x", "b@x", "c@x"]), max_size=2, unique=True).map(tuple),
            phones=st.lists(st.sampled_from(["6505550001", "6505550002"]), max_size=2, unique=True).map(tuple),
            first=st.sampled_from(["ann", "bob"]),
        ),
        max_size=4,
        unique=True,
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def found_in(tmp_path: Path) -> Iterator[Callable[..., list[Found]]]:
    """Slices of one audience, and who of their members goes."""
    with State.open(f"sqlite:///{tmp_path}/state.db") as state:

        def found_in(several: list[list[Person]], goes: Callable[[Person], bool]) -> list[Found]:
            found = []
            for number, some in enumerate(several):
                ledger = slice_of(state, tmp_path / "ledger", kept_rows(some), segment=f"s{number}", held=0)
                numbers = [n for n, p in zip(ledger.members.find(prints_of(some)), some, strict=True) if goes(p)]
                found.append(Found(ledger, np.array(sorted(numbers), dtype=np.int64)))
            return found

        yield found_in


@FEW
@given(several=slices, asked=st.sampled_from(["a@x", "b@x"]))
def test_every_identifier_goes_but_those_of_who_stays(
    found_in: Callable[..., list[Found]], several: list[list[Person]], asked: str
) -> None:
    found = found_in(several, lambda person: asked in person.emails)
    everybody = [person for some in several for person in some]
    gone = [row for p in everybody if asked in p.emails for row in p.rows()]
    stays = [row for p in everybody if asked not in p.emails for row in p.rows()]
    expected = {
        (key, value) for key in ("EMAIL", "PHONE", "EXTERN_ID") for value in cells(gone, key) - cells(stays, key)
    }
    sent = concat_removals(identifiers(found))
    assert all(len(removal.schema) == 1 for removal in sent), "whoever has an e-mail needs no name"
    assert {(one.schema[0], value) for one in sent for rows in one.frames() for (value,) in rows.rows()} == expected


def test_whoever_has_neither_email_nor_phone_goes_by_names_and_id(found_in: Callable[..., list[Found]]) -> None:
    nameless, namesake = Person("1", first="ann"), Person("2", first="bob")
    found = found_in([[nameless, namesake], [Person("1", ("a@x",))]], lambda person: person is nameless)
    rows: list[Row] = [
        frozenset((key, value) for key, value in row.items() if value)
        for removal in concat_removals(identifiers(found))
        for rows in removal.frames()
        for row in rows.iter_rows(named=True)
    ]
    assert rows == [names_of(nameless.rows()[0])], "the id is somebody else's as well"


MAPPING = """\
key_identifier: name_and_address
default_country: US
keys: {first_name: first, last_name: last, postal_code: postal, country: country, external_id: id}
"""


def test_a_person_of_names_alone_is_out_of_every_segment(
    workspace: Path, members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any], add_demo: Callable[..., None]
) -> None:
    config = "segments:\n  a: {from: a.csv, mapping: crm, to: [demo]}\n  b: {from: b.csv, mapping: crm, to: [demo]}\n"
    (workspace / "connector.yaml").write_text(config + "guards: {min_profiles: 1}\n", encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    for name, ids in (("a", "12"), ("b", "23")):
        lines = [f"{one},name{one},lee,94107,US\n" for one in ids]
        (workspace / f"{name}.csv").write_text("id,first,last,postal,country\n" + "".join(lines), encoding="utf-8")
    add_demo()
    for name in ("a", "b"):
        assert run("export", "segment", name).exit_code == 0
    done = run("forget", "--external-id", "2", "--yes", "--json")
    (place,) = done.envelope["data"]["certificate"]["places"]
    assert (done.exit_code, place["outcome"], place["profiles"]) == (0, "removed", 2)
    names = {"LN": sha("lee"), "ZIP": sha("94107"), "COUNTRY": sha("us")}
    (audience,) = members()
    left = [{"EXTERN_ID": one, "FN": sha(f"name{one}"), **names} for one in "13"]
    assert (audience["members"], audience["digest"]) == (2, digest_of(left))
    for name in ("a", "b"):
        assert run("export", "segment", name, "--json").envelope["data"]["rows"]["to_add"] == 0


def test_meta_receiving_less_than_was_asked_leaves_it_open(
    workspace: Path, sandbox: dict[str, Any], run: Callable[..., Any], add_demo: Callable[..., None]
) -> None:
    add_demo()
    assert run("export", "segment", "people").exit_code == 0
    fault = {"edge": "users", "method": "DELETE", "times": 2, "do": "error", "error": {"code": 100}}
    script(sandbox["base_url"], {**fault, "holding": sha("mary@example.com")})
    forget = ("forget", "--email", "mary@example.com", "--email", "rene@example.org", "--yes", "--json")
    (place,) = run(*forget).envelope["data"]["certificate"]["places"]
    assert (place["outcome"], place["code"]) == ("open", "forget.not_received")
    assert len(ledger_rows_left(workspace)) == 3, "nobody is struck before Meta has everything"
    (place,) = run(*forget).envelope["data"]["certificate"]["places"]
    assert (place["outcome"], place["profiles"]) == ("removed", 2)
    assert ledger_rows_left(workspace) == ["3"]


def ledger_rows_left(folder: Path) -> list[str]:
    found = (pl.read_parquet(path) for path in (folder / ".connector" / "ledger").rglob("*.parquet"))
    return [one for frame in found if "external_id" in frame.columns for one in frame["external_id"].to_list()]
