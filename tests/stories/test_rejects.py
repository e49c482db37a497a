"""Who was left out of a run and why, by row and masked id; and a row that sinks its batch is found, the rest is sent."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from pydantic import SecretStr

from connector.audiences.bisection import MOST_REFUSALS
from connector.audiences.graph import Graph
from connector.audiences.upload import Receipt, Upload
from connector.errors import RejectedError
from connector.profiles.masking import mask
from connector.rejects import MOST_KEPT, Rejects, mask_ids, read_rejects
from tests.by_hand import digest_of, sha
from tests.sandbox_control import calm, script, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo], where: "shop = 1"}
guards: {min_profiles: 1, max_shrink: 1, max_invalid: 0.5}
suppress:
  - {from: left.csv, mapping: crm}
"""
MAPPING = """\
key_identifier: email
keys: {email: email, external_id: id}
consent: consent
"""
PEOPLE = """\
id,email,consent,shop
CUST-1,elsewhere@example.com,yes,2
CUST-2,good@example.com,yes,1
CUST-3,not an address,yes,1
CUST-4,no@example.com,no,1
CUST-5,left@example.com,yes,1
CUST-2,good.again@example.com,yes,1
CUST-7,bad@example.com,yes,1
CUST-8,fine@example.com,yes,1
"""
# Row numbers count what `where` lets through: CUST-2 is row 1.
LEFT_OUT = [
    (2, "no_identifier", "CU***"),
    (3, "no_consent", "CU***"),
    (4, "suppressed", "CU***"),
    (5, "duplicate", "CU***"),
]


@pytest.fixture
def people(workspace: Path, add_demo: Callable[..., None]) -> Path:
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    (workspace / "people.csv").write_text(PEOPLE, encoding="utf-8")
    (workspace / "left.csv").write_text("email\nleft@example.com\n", encoding="utf-8")
    add_demo()
    return workspace


def export(run: Run, *words: str, exit_code: int = 0) -> dict[str, Any]:
    done = run("export", "segment", "people", *words, "--json")
    assert done.exit_code == exit_code, done.out + done.err
    return dict(done.envelope["data"])


def rejects(run: Run, run_id: str, *words: str) -> list[tuple[Any, ...]]:
    shown = run("show", "run", run_id, "--rejects", *words, "--json").envelope["data"]
    return [(one["row"], one["reason"], one["external_id"]) for one in shown["rejects"]]


def refuse_batches_with(sandbox: dict[str, Any], *digests: str, code: int = 100, **error: Any) -> None:
    faults = [
        {"edge": "users", "times": None, "do": "error", "error": {"code": code, **error}, "holding": digest}
        for digest in digests
    ]
    script(sandbox["base_url"], *faults)


def member(id_: str, email: str) -> dict[str, str]:
    return {"EXTERN_ID": id_, "EMAIL": sha(email)}


def test_every_profile_left_out_is_listed_by_row_reason_and_masked_id_and_nothing_else_is_kept(
    people: Path, run: Run
) -> None:
    data = export(run)
    assert rejects(run, data["run"]) == LEFT_OUT
    assert rejects(run, data["run"], "--limit", "1") == LEFT_OUT[:1]
    assert sum(data["profiles"]["skipped"].values()) == len(LEFT_OUT)
    shown = run("show", "run", data["run"], "--rejects").out
    assert "4 of 4 shown: 1 duplicate, 1 no_consent, 1 no_identifier, 1 suppressed" in shown
    file = people / ".connector" / "rejects" / f"{data['run']}.parquet"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_bytes() + pl.read_parquet(file).write_csv().encode() + shown.encode()
    for secret_text in (b"CUST", b"example.com", b"not an address", sha("left@example.com").encode()):
        assert secret_text not in kept


def test_a_second_run_that_compares_with_the_ledger_lists_the_same_people(people: Path, run: Run) -> None:
    export(run)
    assert rejects(run, export(run)["run"]) == LEFT_OUT


def test_who_is_newly_suppressed_is_listed_by_the_run_that_takes_them_out(people: Path, run: Run) -> None:
    export(run)
    (people / "left.csv").write_text("email\nleft@example.com\nfine@example.com\n", encoding="utf-8")
    assert (7, "suppressed", "CU***") in rejects(run, export(run)["run"])


def test_a_run_that_left_nobody_out_says_so_and_keeps_no_file(people: Path, run: Run) -> None:
    (people / "people.csv").write_text("id,email,consent,shop\nCUST-2,good@example.com,yes,1\n", encoding="utf-8")
    data = export(run)
    assert "Nobody was left out" in run("show", "run", data["run"], "--rejects").out
    assert not list((people / ".connector").glob("rejects/*"))


def test_lists_are_kept_for_the_newest_twenty_runs_of_a_segment(
    people: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export(run)["run"]
    monkeypatch.setattr("connector.export.RUNS_WITH_REJECTS", 2)
    later = [export(run)["run"] for _ in range(2)]
    assert sorted(path.stem for path in (people / ".connector" / "rejects").iterdir()) == sorted(later)
    assert "no longer kept" in run("show", "run", first, "--rejects").out


def test_more_than_the_cap_of_one_reason_is_counted_only(tmp_path: Path) -> None:
    found = Rejects()
    for start in (1, MOST_KEPT):
        rows = pl.int_range(start, start + MOST_KEPT, dtype=pl.UInt32, eager=True)
        found.note("duplicate", rows, None)
    found.note("suppressed", pl.Series([7], dtype=pl.UInt32), pl.Series(["CUST-7"]))
    found.write(tmp_path, "run")
    kept = read_rejects(tmp_path, "run")
    assert kept.group_by("reason").len().sort("reason").rows() == [("duplicate", MOST_KEPT), ("suppressed", 1)]
    assert found.counted == {"duplicate": 2 * MOST_KEPT, "suppressed": 1}


@pytest.mark.parametrize(
    "cell",
    ["C-10482", "4711", "12345", " ", "", "0" * 64, "É-1234", "愛子愛子愛", "a_b_c_d_e_f", "٣٤٥٦٧", "x@y.example"],
)
def test_ids_are_masked_as_everywhere_else(cell: str) -> None:
    assert mask_ids(pl.Series([cell])).to_list() == [mask(cell, "EXTERN_ID", note=False)]


def test_a_row_that_sinks_its_batch_is_found_counted_invalid_and_the_others_are_held(
    people: Path, sandbox: dict[str, Any], run: Run
) -> None:
    refuse_batches_with(sandbox, sha("bad@example.com"))
    data = export(run)
    rows = data["rows"]
    assert (rows["to_add"], rows["added"], rows["invalid"], rows["left"]) == (3, 2, 1, 0)
    (audience,) = state_of(sandbox["base_url"])["audiences"]
    good = [member("CUST-2", "good@example.com"), member("CUST-8", "fine@example.com")]
    assert (audience["members"], audience["digest"]) == (2, digest_of(good))
    assert rejects(run, data["run"]) == [*LEFT_OUT, (6, "rejected", "CU***")]


def test_a_refused_row_is_tried_again_by_the_next_run_and_only_that_one(
    people: Path, sandbox: dict[str, Any], run: Run
) -> None:
    refuse_batches_with(sandbox, sha("bad@example.com"))
    export(run)
    calm(sandbox["base_url"])
    rows = export(run)["rows"]
    assert (rows["unchanged"], rows["to_add"], rows["added"]) == (2, 1, 1)
    (audience,) = state_of(sandbox["base_url"])["audiences"]
    assert audience["members"] == 3
    assert export(run)["rows"]["to_add"] == 0


@pytest.mark.parametrize("mode", ["mirror", "replace"])
def test_the_session_is_closed_though_the_last_row_is_refused(
    people: Path, sandbox: dict[str, Any], run: Run, mode: str
) -> None:
    for edge in ("users", "usersreplace"):
        fault = {"edge": edge, "times": None, "do": "error", "error": {"code": 100}, "holding": sha("fine@example.com")}
        script(sandbox["base_url"], fault)
    rows = export(run, "--mode", mode, "--yes")["rows"]
    assert (rows["added"], rows["invalid"], rows["left"]) == (2, 1, 0)
    state = state_of(sandbox["base_url"])
    (audience,) = state["audiences"]
    good = [member("CUST-2", "good@example.com"), member("CUST-7", "bad@example.com")]
    assert (audience["members"], audience["digest"]) == (2, digest_of(good))
    assert [session["stage"] for session in state["sessions"]] == ["completed"]


@pytest.mark.parametrize(
    ("code", "subcode", "word"), [(100, 1713230, "graph.audience_flagged"), (200, None, "graph.permission")]
)
def test_a_refusal_that_is_not_about_rows_is_not_cut(
    people: Path, sandbox: dict[str, Any], run: Run, code: int, subcode: int | None, word: str
) -> None:
    more = {} if subcode is None else {"error_subcode": subcode}
    refuse_batches_with(sandbox, sha("bad@example.com"), code=code, **more)
    done = run("export", "segment", "people", "--json")
    assert done.envelope["error"]["code"] == word
    assert state_of(sandbox["base_url"])["calls"]["users"] == 1


def test_when_no_row_passes_the_refusal_is_the_answer(people: Path, sandbox: dict[str, Any], run: Run) -> None:
    refuse_batches_with(sandbox, "payload")
    done = run("export", "segment", "people", "--json")
    assert (done.exit_code, done.envelope["error"]["code"]) == (5, "graph.invalid_parameter")
    assert run("list", "runs", "--json").envelope["data"]["runs"][0]["report"]["rows"]["left"] == 3


# the upload alone, on rows that the sandbox itself refuses: too short for their schema


@pytest.fixture
def audience_id(people: Path, sandbox: dict[str, Any]) -> str:
    (audience,) = state_of(sandbox["base_url"])["audiences"]
    return str(audience["id"])


@dataclass(frozen=True)
class Lines:
    """A batch of ready JSON rows, which may be such as no frame could hold."""

    lines: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def body(self, session: dict[str, Any]) -> tuple[bytes]:
        schema = ["EMAIL", "FN"]
        text = json.dumps({"session": session, "payload": {"schema": schema, "data": "ROWS"}})
        return (text.replace('"ROWS"', f"[{','.join(self.lines)}]").encode(),)

    def first(self) -> Lines:
        return Lines(self.lines[:1])

    def halves(self) -> tuple[Lines, Lines]:
        middle = len(self) // 2
        return Lines(self.lines[:middle]), Lines(self.lines[middle:])


def upload(sandbox: dict[str, Any], audience_id: str, lines: list[str]) -> tuple[Any, list[int], list[Receipt], int]:
    refused: list[int] = []
    receipts: list[Receipt] = []
    settled: list[int] = []
    token = SecretStr(sandbox["token"])
    with Graph(sandbox["base_url"], "v25.0", token) as graph:
        sender = Upload(
            graph, audience_id, account=sandbox["ad_account"], operation="add", in_flight=2,
            on_receipt=receipts.append, on_rows=settled.append, on_refused=refused.extend,
        )  # fmt: skip
        batches = [Lines(tuple(lines[at : at + 1000])) for at in range(0, len(lines), 1000)]
        return sender.send(batches), refused, receipts, settled[-1]


def people_lines(count: int, bad: set[int]) -> list[str]:
    return [f'["{sha(str(n))}"]' if n in bad else f'["{sha(str(n))}","{sha("mary")}"]' for n in range(count)]


def test_offenders_far_apart_in_several_batches_are_found_by_place(sandbox: dict[str, Any], audience_id: str) -> None:
    bad = {0, 999, 1500, 2999}
    outcome, refused, receipts, settled = upload(sandbox, audience_id, people_lines(3000, bad))
    assert sorted(refused) == sorted(bad)
    assert (outcome.rows, outcome.received, outcome.refused, outcome.missing, settled) == (2996, 2996, 4, 0, 3000)
    assert sum(receipt.rows for receipt in receipts) == 2996
    (audience,) = state_of(sandbox["base_url"])["audiences"]
    good = ({"EMAIL": sha(str(n)), "FN": sha("mary")} for n in range(3000) if n not in bad)
    assert (audience["members"], audience["digest"]) == (2996, digest_of(good))


def test_too_many_offenders_are_given_up_with_the_refusal(sandbox: dict[str, Any], audience_id: str) -> None:
    with pytest.raises(RejectedError) as refusal:
        upload(sandbox, audience_id, people_lines(1000, set(range(0, 1000, 2))))
    assert refusal.value.code == "graph.invalid_parameter"
    assert state_of(sandbox["base_url"])["calls"]["users"] <= 2 * MOST_REFUSALS + 1
