"""The whole way as a stranger goes it: add a destination, check, preview, plan, export, look at the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.by_hand import digest_of, sha
from tests.sandbox_control import reset, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


# The three people of the workspace, normalised by hand with match-keys.md beside it.
BY_HAND = [
    {
        "EXTERN_ID": "1",
        "EMAIL": sha("mary@example.com"),
        "PHONE": sha("16505551212"),
        "FN": sha("mary"),
        "COUNTRY": sha("us"),
    },
    {
        "EXTERN_ID": "2",
        "EMAIL": sha("rene@example.org"),
        "PHONE": sha("33639981234"),
        "FN": sha("rené"),
        "COUNTRY": sha("fr"),
    },
    {"EXTERN_ID": "3", "EMAIL": sha("aiko@example.net"), "FN": sha("愛子"), "COUNTRY": sha("jp")},
]


def test_the_members_are_just_those_computed_by_hand(
    workspace: Path, add_demo: Callable[..., None], members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any]
) -> None:
    add_demo()
    done = run("export", "segment", "people", "--json")
    assert done.exit_code == 0, done.out + done.err
    data = done.envelope["data"]
    assert data["profiles"]["read"] == data["profiles"]["eligible"] == 3
    assert data["rows"]["added"] == data["rows"]["to_add"] == 3
    assert data["cells"]["PHONE"] == {"sent": 2, "blank": 1, "dropped": {}}
    (audience,) = [a for a in members() if a["id"] == data["audience"]["id"]]
    assert (audience["members"], audience["digest"]) == (3, digest_of(BY_HAND))


def test_exporting_twice_leaves_the_same_members(
    workspace: Path, add_demo: Callable[..., None], members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any]
) -> None:
    add_demo()
    for _ in range(2):
        assert run("export", "segment", "people").exit_code == 0
    (audience,) = [a for a in members() if a["name"] == "People"]
    assert (audience["members"], audience["digest"]) == (3, digest_of(BY_HAND))


def test_a_plan_counts_and_sends_nothing(
    workspace: Path, add_demo: Callable[..., None], members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any]
) -> None:
    add_demo()
    planned = run("plan", "segment", "people", "--json")
    assert planned.exit_code == 0, planned.err
    assert planned.envelope["data"]["rows"]["to_add"] == 3
    assert planned.envelope["data"]["rows"]["added"] == 0
    (audience,) = [a for a in members() if a["name"] == "People"]
    assert audience["members"] == 0
    assert run("list", "runs", "--json").envelope["data"]["runs"] == []


def test_the_run_is_remembered_with_its_batches(
    workspace: Path, add_demo: Callable[..., None], run: Callable[..., Any]
) -> None:
    add_demo()
    run_id = run("export", "segment", "people", "--json").envelope["data"]["run"]
    shown = run("show", "run", run_id, "--json").envelope["data"]["run"]
    assert (shown["status"], shown["report"]["rows"]["added"], len(shown["batches"])) == ("ok", 3, 1)
    assert "added" in run("show", "run", run_id).out


def test_someone_without_consent_or_on_a_suppression_list_never_leaves(
    workspace: Path, add_demo: Callable[..., None], members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any]
) -> None:
    with (workspace / "people.csv").open("a", encoding="utf-8") as people:
        people.write("4,nobody@example.com,,No,US,\n")
    (workspace / "left.csv").write_text(
        f"email\n{sha('rene@example.org').upper()}\nAIKO@example.net \n", encoding="utf-8"
    )
    with (workspace / "connector.yaml").open("a", encoding="utf-8") as config:
        config.write("suppress:\n  - {from: left.csv, mapping: crm}\n")
    add_demo()
    data = run("export", "segment", "people", "--json").envelope["data"]
    assert data["profiles"]["skipped"]["suppressed"] == 2
    assert data["profiles"]["skipped"]["no_consent"] == 1
    (audience,) = [a for a in members() if a["name"] == "People"]
    assert (audience["members"], audience["digest"]) == (1, digest_of(BY_HAND[:1]))


def test_limit_sends_that_many_and_says_so(
    workspace: Path, add_demo: Callable[..., None], run: Callable[..., Any]
) -> None:
    add_demo()
    limited = run("export", "segment", "people", "--limit", "2", "--json")
    rows = limited.envelope["data"]["rows"]
    assert (limited.exit_code, rows["added"], rows["left"], rows["to_add"]) == (0, 2, 1, 3)


def test_two_destinations_give_two_reports_and_the_worse_exit(
    workspace: Path, add_demo: Callable[..., None], run: Callable[..., Any]
) -> None:
    add_demo()
    config = workspace / "connector.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("[demo]", "[demo, missing]"), encoding="utf-8")
    both = run("export", "segment", "people", "--json")
    assert both.exit_code == 2
    first, second = both.envelope["data"]["reports"]
    assert first["rows"]["added"] == 3
    assert second["error"]["code"] == "destination.unknown"


def test_a_paused_destination_takes_nothing_until_resumed(
    workspace: Path, add_demo: Callable[..., None], run: Callable[..., Any]
) -> None:
    add_demo()
    assert run("pause", "destination", "demo").exit_code == 0
    refused = run("export", "segment", "people", "--json")
    assert (refused.exit_code, refused.envelope["error"]["code"]) == (8, "destination.paused")
    assert run("resume", "destination", "demo").exit_code == 0
    assert run("export", "segment", "people").exit_code == 0


def test_removing_a_destination_with_its_audience_leaves_neither(
    workspace: Path, add_demo: Callable[..., None], members: Callable[[], list[dict[str, Any]]], run: Callable[..., Any]
) -> None:
    add_demo()
    unsure = run("remove", "destination", "demo", "--delete-audience", "--json")
    assert (unsure.exit_code, unsure.envelope["error"]["code"]) == (8, "remove.not_confirmed")
    assert run("remove", "destination", "demo", "--delete-audience", "--yes").exit_code == 0
    assert run("list", "destinations", "--json").envelope["data"]["destinations"] == []
    assert [a for a in members() if a["name"] == "People"] == []


def test_an_audience_created_before_a_crash_is_found_again(
    workspace: Path,
    sandbox: dict[str, Any],
    members: Callable[[], list[dict[str, Any]]],
    run: Callable[..., Any],
    add_demo: Callable[..., None],
) -> None:
    """The answer to the creating request is lost: nothing is created twice, and the same command goes on."""
    fault = {"edge": "customaudiences", "method": "POST", "after": 0, "times": 1, "do": "drop_after"}
    script(sandbox["base_url"], fault)
    add_demo()
    assert len([a for a in members() if a["name"] == "People"]) == 1
    assert run("export", "segment", "people").exit_code == 0


def test_a_new_audience_is_empty_whatever_another_server_put_into_one_of_its_id(
    workspace: Path,
    sandbox: dict[str, Any],
    add_demo: Callable[..., None],
    members: Callable[[], list[dict[str, Any]]],
    run: Callable[..., Any],
) -> None:
    """A sandbox that was started again gives its ids again."""
    add_demo()
    assert run("export", "segment", "people").exit_code == 0
    reset(sandbox["base_url"])
    assert run("remove", "destination", "demo", "--yes").exit_code == 0
    add_demo()
    done = run("export", "segment", "people", "--json")
    assert done.exit_code == 0, done.out
    assert (done.envelope["data"]["rows"]["unchanged"], done.envelope["data"]["rows"]["added"]) == (0, 3)
    (audience,) = members()
    assert (audience["members"], audience["digest"]) == (3, digest_of(BY_HAND))


def test_no_profile_is_read_before_access_is_proved(
    workspace: Path,
    sandbox: dict[str, Any],
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    add_demo: Callable[..., None],
) -> None:
    """The source is gone, which would be exit 3: with a token that may not, the answer is exit 4 and nothing was opened."""
    add_demo()
    (workspace / "people.csv").unlink()
    assert run("export", "segment", "people").exit_code == 3
    for name in ("expired", "no_permission", "analyst"):
        monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"][name])
        for command in ("export", "plan"):
            refused = run(command, "segment", "people", "--json")
            assert (refused.exit_code, refused.envelope["error"]["code"].split(".")[0]) == (4, "access"), (
                name,
                refused.out,
            )
