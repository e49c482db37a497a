"""The ledger is damaged, lost, old or somebody else's: told before anything is sent, and there is a way out.

A replacement always ends with just the segment. ``--full`` ends so too, but for people whom only a lost file knew and who left
the segment meanwhile: nobody can name them any more, and the report says how many there may be.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger_world import FIRST, SECOND, THIRD, People, World, flip

if TYPE_CHECKING:
    from collections.abc import Callable

MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id, first_name: name}\nconsent: ok\n"
CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
  others: {from: others.csv, mapping: crm, to: [demo]}
guards: {min_profiles: 0, max_shrink: 0.5}
"""


@pytest.fixture
def world(workspace: Path, sandbox: dict[str, Any], run: Callable[..., Any], add_demo: Callable[..., None]) -> World:
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    add_demo()
    world = World(workspace, sandbox["base_url"], run)
    world.write(FIRST)
    world.export()
    world.save()
    world.write(SECOND)
    world.export()
    world.check(SECOND)
    return world


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a byte": (flip(0.5), "ledger.damaged"),
    "cut in half": (lambda path: path.write_bytes(path.read_bytes()[:-100]) and None, "ledger.damaged"),
    "emptied": (lambda path: path.write_bytes(b"") and None, "ledger.damaged"),
    "missing": (Path.unlink, "ledger.missing"),
}


def test_a_file_that_is_not_what_was_written_is_told_by_name_and_nothing_is_sent(world: World) -> None:
    """Every byte of every kind of file: tests/audiences/test_ledger.py."""
    for kind in ("rows", "leaving", "gone"):
        path = world.of_kind(kind)
        whole = path.read_bytes()
        for what, (damage, code) in DAMAGES.items():
            damage(path)
            error = world.told(command="plan" if what == "emptied" else "export")
            assert error["code"] == code, (kind, what)
            assert path.name in error["message"], (kind, what)
            assert "--full" in error["hint"], (kind, what)
            assert "--mode replace" in error["hint"], (kind, what)
            path.write_bytes(whole)
    world.quiet()


def test_two_files_in_each_others_place_are_both_damaged(world: World) -> None:
    rows, gone = world.of_kind("rows"), world.of_kind("gone")
    first, second = rows.read_bytes(), gone.read_bytes()
    rows.write_bytes(second)
    assert rows.name in world.told()["message"]
    gone.write_bytes(first)
    assert rows.name in world.told()["message"]
    rows.write_bytes(first)
    assert gone.name in world.told()["message"]
    gone.write_bytes(second)
    world.quiet()


def test_a_file_of_the_next_part_in_the_place_of_an_earlier_one_is_damaged(world: World) -> None:
    shutil.copy(world.files()[-1], world.of_kind("rows"))
    assert world.told()["code"] == "ledger.damaged"


def flip_every_file(world: World) -> None:
    for path in world.files():
        flip(0.5)(path)


def another_workspace(world: World) -> None:
    """Files as another workspace has them: other runs wrote them, other people stand in them."""
    for path in world.files():
        path.rename(path.with_name(path.name.replace("-", "-x", 1)))


def another_folder(world: World) -> None:
    with (world.folder / "connector.yaml").open("a", encoding="utf-8") as config:
        config.write("ledger: elsewhere\n")


def give_key(text: str) -> Callable[[World], None]:
    return lambda world: (world.own / "key").write_text(text, encoding="ascii") and None


@dataclass(frozen=True)
class Loss:
    """What happens to a ledger, how it is told, and who stays in the audience after ``--full``: whom nobody knows any more."""

    happens: Callable[[World], object]
    code: str
    stays: People = field(default_factory=dict)


LOSSES = {
    "the whole folder is gone": Loss(lambda w: shutil.rmtree(w.own / "ledger"), "ledger.missing", {2: "v0", 8: "v0"}),
    "this host keeps another folder": Loss(another_folder, "ledger.missing", {2: "v0", 8: "v0"}),
    "another workspace's folder": Loss(another_workspace, "ledger.missing", {2: "v0", 8: "v0"}),
    "every file is damaged": Loss(flip_every_file, "ledger.damaged", {2: "v0", 8: "v0"}),
    "the first file of rows is gone": Loss(lambda w: w.of_kind("rows").unlink(), "ledger.missing", {2: "v0"}),
    "an old copy of the folder": Loss(lambda w: w.bring_back(w.saved[0], only="ledger"), "ledger.missing", {8: "v0"}),
    "marks of removals are gone": Loss(lambda w: w.of_kind("leaving").unlink(), "ledger.missing"),
    "marks of the removed are damaged": Loss(lambda w: flip(0.5)(w.of_kind("gone")), "ledger.damaged"),
    "an old copy of the state database": Loss(lambda w: w.bring_back(w.saved[0], only="state"), "ledger.newer"),
    "the key is gone": Loss(lambda w: (w.own / "key").unlink(), "ledger.key"),
    "the key is another one": Loss(give_key("ab" * 32), "ledger.key"),
    "the key is too short": Loss(give_key("ab" * 31), "ledger.key"),
}


ALIKE = {  # told like any, and mended as one of the others
    "this host keeps another folder",
    "another workspace's folder",
    "every file is damaged",
    "marks of the removed are damaged",
    "the key is another one",
    "the key is too short",
}


@pytest.mark.parametrize("what", sorted(set(LOSSES) - ALIKE))
def test_what_was_lost_is_told_and_a_new_ledger_ends_with_the_right_members(world: World, what: str) -> None:
    loss = LOSSES[what]
    loss.happens(world)
    world.write(THIRD)
    error = world.told()
    assert error["code"] == loss.code
    assert "--full" in error["hint"]
    report = world.export("--full", "--allow-shrink")
    world.check(THIRD, loss.stays)
    assert any("files of the ledger that are lost" in text for text in report.get("warnings", [])) == bool(loss.stays)
    world.quiet()
    report = world.export("--mode", "replace", "--allow-shrink")
    world.check(THIRD)
    assert "warnings" not in report
    report = world.quiet()
    assert "warnings" not in report, "nobody is unknown any more"


@pytest.mark.parametrize("what", ["the whole folder is gone", "an old copy of the state database", "the key is gone"])
def test_a_replacement_at_once_is_the_other_way_out(world: World, what: str) -> None:
    LOSSES[what].happens(world)
    world.write(THIRD)
    assert world.told(command="plan")["code"] == LOSSES[what].code
    for words in (("--full",), ("--mode", "replace")):
        world.export(*words, "--allow-shrink", "--dry-run")
        assert world.told()["code"] == LOSSES[what].code, "a plan writes nothing"
    assert "warnings" not in world.export("--mode", "replace", "--allow-shrink")
    world.check(THIRD)
    world.quiet()


def test_brought_back_all_goes_on_as_if_nothing_had_happened(world: World) -> None:
    whole, config = world.save(), world.folder / "connector.yaml"
    text = config.read_text(encoding="utf-8")
    for loss in LOSSES.values():
        loss.happens(world)
        assert world.told()["code"] == loss.code
        world.bring_back(whole)
        config.write_text(text, encoding="utf-8")
    world.quiet()
    assert world.export()["rows"]["unchanged"] == len(SECOND)


def test_an_old_copy_of_the_state_database_is_told_by_a_single_file(world: World) -> None:
    """As a crash would leave behind, but for the run that wrote it."""
    copy = world.save()
    world.write(SECOND | {9: "v0"})
    world.export()
    world.bring_back(copy, only="state")
    world.write(SECOND)
    assert world.told()["code"] == "ledger.newer"
    world.export("--full")
    world.check(SECOND)


def test_a_key_that_cannot_be_read_is_told_and_never_made_anew(world: World) -> None:
    key = world.own / "key"
    text = key.read_text(encoding="ascii")
    key.unlink()
    key.symlink_to(key)  # nobody can open it, whatever the rights of whoever runs the tests
    for words in ((), ("--full",), ("--mode", "replace")):
        error = world.told(*words)
        assert (error["code"], "key" in error["message"]) == ("ledger.unreadable", True)
    key.unlink()
    key.write_text(text, encoding="ascii")
    key.chmod(0o644)
    world.quiet()
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_key_in_the_environment_of_a_wrong_length_is_a_mistake_of_configuration(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("ab" * 31, "ab" * 33, "xy" * 32):
        monkeypatch.setenv("CONNECTOR_KEY", wrong)
        error = world.told(code=2)
        assert (error["code"], wrong in str(error)) == ("key.format", False)
    monkeypatch.setenv("CONNECTOR_KEY", "cd" * 32)
    assert world.told()["code"] == "ledger.key"
    monkeypatch.setenv("CONNECTOR_KEY", (world.own / "key").read_text(encoding="ascii"))
    world.quiet()


@pytest.fixture
def two(world: World) -> World:
    """Two segments in the audience, with people in common."""
    world.write(dict.fromkeys(range(5, 12), "v0"), "others")
    world.export(name="others")
    return world


def lose_state(world: World, sandbox: dict[str, Any]) -> None:
    """The database is lost, and the destination is made known to a new one."""
    (audience,) = [a for a in world.state()["audiences"] if a["name"] == "People"]
    for path in world.own.glob("state*"):
        path.unlink()
    added = world.run(
        "add", "destination", "demo", "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
        "--audience", audience["id"], "--accept-data-terms",
    )  # fmt: skip
    assert added.exit_code == 0, added.err


def test_a_new_state_database_never_takes_the_old_ledger_for_nothing(two: World, sandbox: dict[str, Any]) -> None:
    lose_state(two, sandbox)
    two.write(THIRD)
    two.write(dict.fromkeys(range(6, 11), "v0"), "others")
    for name in ("people", "others"):
        error = two.told(name=name)
        assert error["code"] == "ledger.unknown"
        assert "CONNECTOR_STATE" in error["hint"]
        assert "forget" in error["hint"], "the list of forgotten people is lost as well"
    forgotten = two.run("forget", "--email", "p0v0@x.example", "--yes", "--json")
    (place,) = forgotten.envelope["data"]["certificate"]["places"]
    assert (forgotten.exit_code, place["outcome"], place["code"]) == (7, "open", "ledger.unknown")
    first = two.export("--full", "--allow-shrink")
    assert any("Nobody was taken out" in text for text in first["warnings"])
    two.export("--full", "--allow-shrink", name="others")
    two.export("--allow-shrink")
    two.check(THIRD, {n: "v0" for n in range(6, 11) if n not in THIRD})
    two.quiet()
    two.quiet("others")
    again = two.run("forget", "--email", "p0v0@x.example", "--yes", "--json")
    assert again.envelope["data"]["certificate"]["places"] == []


def test_a_new_key_for_two_segments_loses_nobody(two: World) -> None:
    (two.own / "key").unlink()
    two.write(THIRD)
    two.write(dict.fromkeys(range(6, 11), "v0"), "others")
    two.export("--full", "--allow-shrink")
    assert two.told(name="others")["code"] == "ledger.key"
    two.export("--full", "--allow-shrink", name="others")
    two.check(THIRD, {n: "v0" for n in range(6, 11) if n not in THIRD})
    two.quiet()
    two.quiet("others")


def test_two_damaged_slices_are_begun_anew_one_after_the_other(two: World) -> None:
    flip(0.5)(two.of_kind("gone"))
    flip(0.5)(two.files("others")[0])
    two.write(THIRD)
    two.write(dict.fromkeys(range(5, 11), "v0"), "others")
    report = two.export("--full", "--allow-shrink")
    assert any("others" in text for text in report["warnings"])
    assert two.told(name="others")["code"] == "ledger.damaged"
    two.export("--full", "--allow-shrink", name="others")
    two.export("--allow-shrink")
    known = THIRD | dict.fromkeys(range(5, 11), "v0")
    two.check(known, {11: "v0"})  # whom only the damaged file of the others knew
    two.export("--mode", "replace", "--allow-shrink")
    two.export("--allow-shrink", name="others")
    two.check(known)


def test_somebody_elses_damage_stops_a_run_that_would_take_people_out(two: World) -> None:
    """Who is in both segments would go, and nobody could tell."""
    flip(0.5)(two.files("others")[0])
    two.quiet()
    two.write(SECOND | {12: "v0"})
    assert two.export()["rows"]["added"] == 1
    two.write(THIRD | {12: "v0"})
    error = two.told()
    assert (error["code"], "others" in error["message"]) == ("ledger.damaged", True)


def test_a_guard_judges_a_ledger_begun_anew_as_well(world: World) -> None:
    (world.own / "key").unlink()
    world.write({3: "v0", 4: "v0", 5: "v0"})
    assert world.told("--full", code=8)["code"] == "guard.max_shrink"
    assert world.told("--mode", "replace", code=8)["code"] == "guard.max_shrink"
    world.export("--allow-shrink")
    world.check({3: "v0", 4: "v0", 5: "v0"})


@pytest.mark.parametrize("paused", [False, True])
def test_whoever_only_a_lost_file_knew_can_be_forgotten_all_the_same(world: World, paused: bool) -> None:
    shutil.rmtree(world.own / "ledger")
    world.write(THIRD)
    world.export("--full")
    world.check(THIRD, {2: "v0", 8: "v0"})
    if paused:
        world.run("pause", "destination", "demo")
        assert world.run("forget", "--email", "p2v0@x.example", "--yes").exit_code == 7
        world.run("resume", "destination", "demo")
        world.export()
        world.check(THIRD, {2: "v0", 8: "v0"})  # a mark names nobody at Meta: the value has to be typed again
    done = world.run("forget", "--email", "p2v0@x.example", "--yes", "--json")
    (place,) = done.envelope["data"]["certificate"]["places"]
    assert (done.exit_code, place["outcome"], place["identifiers"]) == (0, "removed", 1)
    world.check(THIRD, {8: "v0"})


def test_a_forgetting_that_is_open_waits_for_a_slice_that_cannot_be_read(two: World) -> None:
    two.run("pause", "destination", "demo")
    assert two.run("forget", "--external-id", "9", "--yes").exit_code == 7
    two.run("resume", "destination", "demo")
    flip(0.5)(two.of_kind("gone"))
    flip(0.5)(two.files("others")[0])
    assert two.told()["code"] == "ledger.damaged"
    assert any("Forgotten people may still" in text for text in two.export("--full")["warnings"])
    two.export("--full", name="others")
    two.check(SECOND, dict.fromkeys(range(9, 12), "v0"))  # the file that knew the forgotten one is lost
    two.run("forget", "--external-id", "9", "--yes")
    two.check(SECOND, dict.fromkeys(range(10, 12), "v0"))
