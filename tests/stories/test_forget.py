"""Somebody asks to be forgotten: out of every audience, never in again, and a certificate that names nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connector.errors import TransientError
from tests.by_hand import digest_of, sha
from tests.sandbox_control import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Members = Callable[[], list[dict[str, Any]]]
    Run = Callable[..., Any]


MARY = {"EXTERN_ID": "1", "EMAIL": sha("mary@example.com"), "PHONE": sha("16505551212"), "FN": sha("mary"), "COUNTRY": sha("us")}  # fmt: skip
RENE = {"EXTERN_ID": "2", "EMAIL": sha("rene@example.org"), "PHONE": sha("33639981234"), "FN": sha("rené"), "COUNTRY": sha("fr")}  # fmt: skip
AIKO = {"EXTERN_ID": "3", "EMAIL": sha("aiko@example.net"), "FN": sha("愛子"), "COUNTRY": sha("jp")}
RAW = ("Mary@Example.com", "mary@example.com", "6505551212", "(650) 555-1212", MARY["EMAIL"], MARY["PHONE"])


def export(run: Run, *words: str) -> dict[str, Any]:
    done = run("export", "segment", *words, "--json")
    assert done.exit_code == 0, done.out + done.err
    return dict(done.envelope["data"])


def forget(run: Run, *words: str, stdin: str = "", exit_code: int = 0) -> dict[str, Any]:
    done = run("forget", *words, "--yes", "--json", stdin=stdin)
    assert done.exit_code == exit_code, done.out + done.err
    return dict(done.envelope["data"].get("certificate") or done.envelope["error"])


def held(members: Members, title: str = "People") -> tuple[int, str]:
    (audience,) = [a for a in members() if a["name"] == title]
    return audience["members"], audience["digest"]


def just(*people: dict[str, str]) -> tuple[int, str]:
    return len(people), digest_of(people)


def everything_written(folder: Path) -> bytes:
    """All that stands in the workspace's own state, the ledger included."""
    return b"".join(path.read_bytes() for path in sorted((folder / ".connector").rglob("*")) if path.is_file())


@pytest.mark.parametrize(
    "words",
    [
        ("--email", " MARY@example.com "),
        ("--email", MARY["EMAIL"].upper()),
        ("--phone", "+1 650 555 1212"),
        ("--phone", "650-555-1212", "--country", "us"),
        ("--external-id", "1"),
    ],
)
def test_whoever_is_forgotten_leaves_by_any_identifier(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run, words: tuple[str, ...]
) -> None:
    add_demo()
    export(run, "people")
    (place,) = forget(run, *words)["places"]
    assert (place["outcome"], place["profiles"], place["destination"]) == ("removed", 1, "demo")
    assert held(members) == just(RENE, AIKO)


def test_whoever_is_forgotten_stays_out_in_every_mode(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    export(run, "people")
    forget(run, "--email", "mary@example.com")
    for mode in ("add", "mirror", "replace"):
        data = export(run, "people", "--mode", mode, "--yes", "--allow-shrink")
        assert data["profiles"]["skipped"]["suppressed"] == 1, mode
        assert held(members) == just(RENE, AIKO), mode


def test_values_may_come_by_stdin_and_nothing_of_them_is_written_or_printed(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    export(run, "people")
    done = run("forget", "--stdin", "--yes", stdin="email Mary@Example.com\n\nphone: (650) 555-1212\n")
    assert done.exit_code == 0, done.err
    assert "1 email, 1 phone" in done.out
    said = (done.out + done.err).encode() + everything_written(workspace)
    for value in RAW:
        assert value.encode() not in said
    for digest in (MARY["EMAIL"], MARY["PHONE"]):
        assert bytes.fromhex(digest)[7::-1] not in said, "the ledger's words are little-endian"
    assert bytes.fromhex(RENE["EMAIL"])[7::-1] in said, "so this looks where digests are"
    assert held(members) == just(RENE, AIKO)


def test_somebody_who_shares_an_identifier_keeps_it_and_only_the_person_goes(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    """A family's phone: who is forgotten by e-mail goes by it, and the phone stays with the other one."""
    with (workspace / "people.csv").open("a", encoding="utf-8") as people:
        people.write("4,tom@example.com,(650) 555-1212,Tom,US,yes\n")
    tom = {**MARY, "EXTERN_ID": "4", "EMAIL": sha("tom@example.com"), "FN": sha("tom")}
    add_demo()
    export(run, "people")
    (place,) = forget(run, "--email", "mary@example.com")["places"]
    assert (place["profiles"], place["identifiers"]) == (1, 2), "by e-mail and external id"
    assert held(members) == just(RENE, AIKO, tom)


def test_every_audience_and_every_segment_in_it_is_cleared_and_an_id_ties_a_second_address_to_the_person(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    (workspace / "work.csv").write_text(
        "id,email,phone,first_name,country,consent\n1,mary@work.example,,Mary,US,yes\n9,zoe@example.com,,Zoe,US,yes\n",
        encoding="utf-8",
    )
    config = workspace / "connector.yaml"
    segment = "segments:\n  work: {from: work.csv, mapping: crm, to: [demo], mode: mirror}\n"
    config.write_text(config.read_text(encoding="utf-8").replace("segments:\n", segment), encoding="utf-8")
    zoe = {"EXTERN_ID": "9", "EMAIL": sha("zoe@example.com"), "FN": sha("zoe"), "COUNTRY": sha("us")}
    add_demo()
    add_demo("other", title="Others")
    export(run, "people")
    export(run, "people", "--to", "other")
    export(run, "work")
    certificate = forget(run, "--email", "mary@example.com")
    found = {place["destination"]: place["profiles"] for place in certificate["places"]}
    assert found == {"demo": 2, "other": 1}
    assert (held(members), held(members, "Others")) == (just(RENE, AIKO, zoe), just(RENE, AIKO))
    assert export(run, "work")["profiles"]["skipped"]["suppressed"] == 1
    assert held(members) == just(RENE, AIKO, zoe)


def test_the_certificate_leads_to_runs_and_an_audit_line(
    workspace: Path, add_demo: Callable[..., None], run: Run
) -> None:
    add_demo()
    export(run, "people")
    certificate = forget(run, "--external-id", "1")
    (place,) = certificate["places"]
    assert certificate["asked"] == {"external_id": 1}
    kept = run("show", "run", place["run"], "--json").envelope["data"]["run"]
    assert (kept["status"], kept["report"]["rows"]["removed"]) == ("ok", place["identifiers"])
    assert sum(batch["rows"] for batch in kept["batches"]) == place["identifiers"] == 3
    line = run("show", "audit", "--json").envelope["data"]["audit"][-1]
    assert (line["action"], line["outcome"]) == ("forget", "ok")
    assert line["after"]["removed"] == {place["audience_id"]: place["run"]}
    assert run("check", "audit").exit_code == 0


def test_whoever_is_in_no_audience_is_marked_all_the_same(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    assert forget(run, "--email", "mary@example.com")["places"] == []
    assert export(run, "people")["profiles"]["skipped"]["suppressed"] == 1
    assert held(members) == just(RENE, AIKO)
    assert "The one audience there is does not hold them" in run("forget", "--email", "mary@example.com", "--yes").out


@pytest.mark.parametrize("mode", ["mirror", "add", "replace", "remove"])
def test_what_a_pause_leaves_open_is_named_and_the_next_export_finishes_it_in_every_mode(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run, mode: str
) -> None:
    add_demo()
    export(run, "people")
    run("pause", "destination", "demo")
    (place,) = forget(run, "--email", "mary@example.com", exit_code=7)["places"]
    assert (place["outcome"], place["code"], place["destination"]) == ("open", "destination.paused", "demo")
    assert held(members) == just(MARY, RENE, AIKO)
    run("resume", "destination", "demo")
    # Mary is no longer in the source, so that nothing but the forgetting takes her out.
    (workspace / "people.csv").write_text(
        "id,email,phone,first_name,country,consent\n3,aiko@example.net,,愛子,JP,true\n", encoding="utf-8"
    )
    export(run, "people", "--mode", mode, "--yes", "--allow-shrink")
    left = {"mirror": [AIKO], "add": [RENE, AIKO], "replace": [AIKO], "remove": [RENE]}[mode]
    assert held(members) == just(*left)
    assert forget(run, "--email", "mary@example.com")["places"] == []


def test_without_a_token_it_stays_open_and_typing_it_again_finishes(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_demo()
    export(run, "people")
    with monkeypatch.context() as lost:
        lost.delenv("CONNECTOR_TOKEN")
        (place,) = forget(run, "--phone", "+16505551212", exit_code=7)["places"]
    assert (place["outcome"], place["code"]) == ("open", "token.missing")
    (place,) = forget(run, "--phone", "+16505551212")["places"]
    assert place["outcome"] == "removed"
    assert held(members) == just(RENE, AIKO)


def test_an_audience_whose_destination_was_removed_is_out_of_reach(
    workspace: Path, add_demo: Callable[..., None], run: Run
) -> None:
    add_demo()
    export(run, "people")
    run("remove", "destination", "demo")
    (place,) = forget(run, "--email", "mary@example.com", exit_code=7)["places"]
    assert (place["outcome"], place["destination"]) == ("out_of_reach", None)
    shown = run("forget", "--email", "mary@example.com", "--yes")
    assert f"out of reach {place['audience_id']}" in shown.out


def test_a_refusal_while_taking_out_leaves_the_mark_and_the_ledger_so_that_again_finishes(
    workspace: Path, sandbox: dict[str, Any], members: Members, run: Run, add_demo: Callable[..., None]
) -> None:
    """As a crash between mark and removal: nobody gets out again, and the same command goes on."""
    add_demo()
    export(run, "people")
    fault = {"edge": "users", "method": "DELETE", "after": 1, "do": "error", "error": {"code": 368}}
    script(sandbox["base_url"], fault)
    (place,) = forget(run, "--email", "mary@example.com", exit_code=7)["places"]
    assert (place["outcome"], place["code"]) == ("open", "graph.blocked")
    (place,) = forget(run, "--email", "mary@example.com")["places"]
    assert (place["outcome"], place["profiles"]) == ("removed", 1)
    assert held(members) == just(RENE, AIKO)


def test_a_value_that_is_none_is_refused_and_never_repeated(workspace: Path, run: Run) -> None:
    for words in (("--email", "mary at example"), ("--phone", "secret-000"), ("--email", "")):
        done = run("forget", *words, "--yes", "--json")
        assert (done.exit_code, done.envelope["error"]["code"]) == (2, "forget.value")
        assert words[1] not in (done.out + done.err) or not words[1]
    line = run("forget", "--stdin", "--yes", "--json", stdin="email a@example.com\nmary@example.com\n")
    assert (line.exit_code, line.envelope["error"]["code"], line.envelope["error"]["line"]) == (2, "forget.line", 2)
    assert "example.com" not in line.out + line.err
    assert run("forget", "--yes").exit_code == 2


def test_without_a_yes_nothing_happens(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    export(run, "people")
    unsure = run("forget", "--email", "mary@example.com", "--json")
    assert (unsure.exit_code, unsure.envelope["error"]["code"]) == (8, "forget.not_confirmed")
    assert export(run, "people")["profiles"]["skipped"]["suppressed"] == 0
    assert held(members) == just(MARY, RENE, AIKO)


def test_a_phone_that_means_two_numbers_wants_a_country(workspace: Path, sandbox: dict[str, Any], run: Run) -> None:
    french = (workspace / "mappings" / "crm.yaml").read_text(encoding="utf-8").replace("US", "FR")
    (workspace / "mappings" / "fr.yaml").write_text(french, encoding="utf-8")
    unclear = run("forget", "--phone", "06 39 98 12 34", "--yes", "--json")
    assert (unclear.exit_code, unclear.envelope["error"]["code"]) == (2, "forget.country")
    assert "98 12" not in unclear.out + unclear.err
    assert forget(run, "--phone", "06 39 98 12 34", "--country", "FR")["asked"] == {"phone": 1}


def test_a_phone_that_is_somebodys_in_another_country_is_not_guessed(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    """The mapping takes each profile's own country: René's number is read as a French one there."""
    add_demo()
    export(run, "people")
    mapping = workspace / "mappings" / "crm.yaml"
    mapping.write_text(mapping.read_text(encoding="utf-8").replace("US", "DE"), encoding="utf-8")
    doubtful = run("forget", "--phone", "06 39 98 12 34", "--yes", "--json")
    assert (doubtful.exit_code, doubtful.envelope["error"]["code"]) == (2, "forget.country")
    assert "--country" in doubtful.envelope["error"]["hint"]
    assert held(members) == just(MARY, RENE, AIKO)
    forget(run, "--phone", "06 39 98 12 34", "--country", "FR")
    assert held(members) == just(MARY, AIKO)


def test_a_lost_key_lets_nobody_out_until_the_list_is_begun_anew(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    export(run, "people")
    forget(run, "--email", "mary@example.com")
    (workspace / ".connector" / "key").unlink()
    for code, words in (("ledger.key", ()), ("forgotten.key", ("--full",))):
        refused = run("export", "segment", "people", "--allow-shrink", "--json", *words)
        assert (refused.exit_code, refused.envelope["error"]["code"]) == (3, code)
    assert "--new-list" in refused.envelope["error"]["hint"]
    assert held(members) == just(RENE, AIKO)
    forget(run, "--stdin", "--new-list", stdin="email mary@example.com\n")
    data = export(run, "people", "--full", "--allow-shrink")
    assert data["profiles"]["skipped"]["suppressed"] == 1
    assert held(members) == just(RENE, AIKO)
    last = [line for line in run("show", "audit", "--json").envelope["data"]["audit"] if line["action"] == "forget"]
    assert any(line["after"].get("struck") for line in last)


def test_a_new_list_that_is_cut_off_lets_nobody_out_either(
    workspace: Path, add_demo: Callable[..., None], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_demo()
    export(run, "people")
    forget(run, "--email", "mary@example.com")
    (workspace / ".connector" / "key").unlink()

    def away(*_: object) -> None:
        raise TransientError("the database went away", code="state.unavailable")

    with monkeypatch.context() as broken:  # in the middle of the transaction that writes the new list
        broken.setattr("connector.audiences.marks._insert_new", away)
        assert run("forget", "--email", "mary@example.com", "--new-list", "--yes").exit_code == 6
    refused = run("export", "segment", "people", "--full", "--json")
    assert (refused.exit_code, refused.envelope["error"]["code"]) == (3, "forgotten.key")


@pytest.mark.parametrize("mode", ["mirror", "add", "replace", "remove"])
def test_a_member_who_is_suppressed_later_is_taken_out_in_every_mode(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run, mode: str
) -> None:
    """Matched on digests: the list names Mary by a hash, and she has left the source."""
    add_demo()
    export(run, "people")
    (workspace / "left.csv").write_text(f"phone\n{MARY['PHONE']}\n", encoding="utf-8")
    with (workspace / "connector.yaml").open("a", encoding="utf-8") as config:
        config.write("suppress:\n  - {from: left.csv, mapping: crm}\n")
    (workspace / "people.csv").write_text(
        "id,email,phone,first_name,country,consent\n3,aiko@example.net,,愛子,JP,true\n", encoding="utf-8"
    )
    export(run, "people", "--mode", mode, "--yes", "--allow-shrink")
    left = {"mirror": [AIKO], "add": [RENE, AIKO], "replace": [AIKO], "remove": [RENE]}[mode]
    assert held(members) == just(*left)
    again = export(run, "people", "--mode", "add", "--allow-shrink")
    assert again["rows"]["to_remove"] == 0, "the ledger knows that she is out"


def test_a_list_that_stops_nobody_stops_the_export_and_rows_that_stop_nobody_are_named(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    with (workspace / "connector.yaml").open("a", encoding="utf-8") as config:
        config.write("suppress:\n  - {from: left.csv, mapping: crm}\n")
    unreadable = "email,phone\nmary(at)example.com,\nn/a,none\n"
    (workspace / "left.csv").write_text(unreadable, encoding="utf-8")
    refused = run("export", "segment", "people", "--json")
    assert (refused.exit_code, refused.envelope["error"]["code"]) == (3, "suppress.unusable")
    assert "2 of 2 rows of left.csv" in refused.envelope["error"]["message"]
    assert "mary" not in refused.out + refused.err
    (workspace / "left.csv").write_text(unreadable + "mary@example.com,\n", encoding="utf-8")
    warning = "2 of 3 rows of left.csv hold no e-mail, phone or external id that can be read"
    checked = run("check", "segment", "people", "--json").envelope["data"]["checks"]
    assert [one["status"] for one in checked if warning in one["message"]] == ["warn"]
    data = export(run, "people")
    assert any(warning in said for said in data["warnings"])
    assert held(members) == just(RENE, AIKO)


def test_removing_takes_out_those_without_consent_too(
    workspace: Path, add_demo: Callable[..., None], members: Members, run: Run
) -> None:
    add_demo()
    export(run, "people")
    (workspace / "people.csv").write_text(
        "id,email,phone,first_name,country,consent\n3,aiko@example.net,,愛子,JP,no\n", encoding="utf-8"
    )
    export(run, "people", "--mode", "remove", "--allow-shrink")
    assert held(members) == just(MARY, RENE)
