"""Each thing that Meta and the network are known to do, alone and all together: the right members, and a report that adds up."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from connector import Config, ConnectorError, Options, Report, export_segment
from connector.audiences.pace import Pace
from tests.by_hand import digest_of, sha
from tests.fake_time import FakeTime, pace_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., Any]

BATCH = 10_000
FEW = BATCH + 50  # two requests, the second of which is the last
MAPPING = "key_identifier: email\nkeys: {email: email, first_name: first_name}\n"
CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo], mode: mirror}
guards: {min_profiles: 1, max_shrink: 1}
"""
SPEED = 500.0
READ_TIMEOUT = 1.5  # seconds; a busy machine may need one for a good answer


def hurried(**settings: Any) -> Pace:
    """A pace whose time runs 500 times as fast: every wait is waited, and short."""
    return Pace(clock=lambda: time.monotonic() * SPEED, sleep=lambda seconds: time.sleep(seconds / SPEED), **settings)


def rightly(count: int, first: int = 0) -> tuple[int, str]:
    """How many members there should be, and their digest."""
    people = range(first, first + count)
    return count, digest_of({"EMAIL": sha(f"person{n}@example.com"), "FN": sha(f"name{n % 97}x")} for n in people)


@dataclass
class Story:
    """A workspace with a destination, and what happens in the sandbox behind it."""

    root: Path
    sandbox: dict[str, Any]
    http: httpx.Client

    def write(self, count: int, first: int = 0) -> None:
        rows = "".join(f"person{n}@example.com,Name{n % 97}x\n" for n in range(first, first + count))
        (self.root / "people.csv").write_text(f"email,first_name\n{rows}", encoding="utf-8")

    def script(self, *faults: dict[str, Any]) -> None:
        given = [{"edge": "users", "method": "POST", **fault} for fault in faults]
        self.http.post("/_sandbox/faults", json={"faults": given}).raise_for_status()

    def fired(self) -> list[int]:
        return [fault["fired"] for fault in self.http.get("/_sandbox/faults").json()["faults"]]

    def calm(self) -> None:
        self.http.delete("/_sandbox/faults").raise_for_status()

    def world(self, **change: Any) -> None:
        self.http.post("/_sandbox/world", json=change).raise_for_status()

    def state(self) -> dict[str, Any]:
        return dict(self.http.get("/_sandbox/state").json())

    def held(self) -> tuple[int, str]:
        (audience,) = self.state()["audiences"]
        return audience["members"], audience["digest"]

    def export(self, **options: Any) -> Report:
        chosen = {"pace": hurried(), "read_timeout": READ_TIMEOUT, "workers": 1, **options}
        return export_segment(Config.load(self.root), "people", options=Options(**chosen))

    def export_or_error(self, **options: Any) -> tuple[int, str | None]:
        try:
            return self.export(**options).exit_code, None
        except ConnectorError as error:
            return error.exit_code, error.code


@pytest.fixture(scope="module")
def control(sandbox_server: dict[str, Any]) -> Iterator[httpx.Client]:
    """One client for all tests: making one takes longer than what it is for."""
    with httpx.Client(base_url=sandbox_server["base_url"], verify=False) as http:
        yield http


@pytest.fixture
def story(workspace: Path, sandbox: dict[str, Any], control: httpx.Client, add_demo: Callable[..., None]) -> Story:
    """A workspace of two requests, and its destination."""
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    made = Story(workspace, sandbox, control)
    made.write(FEW)
    add_demo()
    return made


@pytest.fixture(scope="module")
def few() -> tuple[int, str]:
    return rightly(FEW)


@dataclass(frozen=True)
class Case:
    """One fault, and how the run that meets it ends; ``after`` 1 is the last request."""

    name: str
    fault: dict[str, Any] = field(repr=False)
    exit_code: int = 0
    code: str | None = None
    after: int = 1
    times: int = 1

    def __str__(self) -> str:
        return self.name


def refusal(code: int, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    error = {"code": code, **({} if subcode is None else {"error_subcode": subcode})}
    return {"do": "error", "error": error, **more}


def usage_headers(code: int, account: str, wait: int) -> dict[str, str]:
    """The header that comes with such a throttle: minutes for a business use case, seconds for the account."""
    if code in {80003, 80004}:
        kind = "custom_audience" if code == 80003 else "ads_management"
        case = {
            "type": kind,
            "call_count": 100,
            "total_cputime": 1,
            "total_time": 1,
            "estimated_time_to_regain_access": wait,
        }
        return {"X-Business-Use-Case-Usage": json.dumps({account: [case]})}
    if code == 4:
        return {"X-App-Usage": json.dumps({"call_count": 100, "total_time": 5, "total_cputime": 5})}
    return {"X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": 100.0, "reset_time_duration": wait * 60})}


THROTTLES = [(4, None), (17, 2446079), (613, 1487742), (613, None), (80003, 2446079), (80004, 2446079)]
TRANSIENT = [
    *(Case(f"throttle {code}/{sub}", refusal(code, sub)) for code, sub in THROTTLES),
    Case("1", refusal(1, status=500)),
    Case("1/99", refusal(1, 99, status=500)),
    Case("2", refusal(2, status=503)),
    Case("a refusal that Meta calls transient", {"do": "error", "error": {"code": 5555, "is_transient": True}}),
    Case("html 502", {"do": "html", "status": 502}),
    Case("413", {"do": "html", "status": 413}, after=0),
    Case("slow", {"do": "slow", "seconds": 0.2}),
    Case("dropped before", {"do": "drop_before"}),
    Case("dropped after, the first", {"do": "drop_after"}, after=0),
    Case("dropped after, the last", {"do": "drop_after"}),
    Case("truncated, the first", {"do": "truncate"}, after=0),
    Case("truncated, the last", {"do": "truncate"}),
    Case("hang", {"do": "hang"}),
    Case("803 right after create", refusal(803, status=404), after=0),
    Case("100/33 right after create", refusal(100, 33), after=0),
]
FATAL = [
    Case("190", refusal(190, status=401), 4, "graph.token_invalid"),
    Case("190/458", refusal(190, 458, status=401), 4, "graph.app_not_authorised"),
    Case("190/459", refusal(190, 459, status=401), 4, "graph.checkpoint"),
    Case("190/460", refusal(190, 460, status=401), 4, "graph.password_changed"),
    Case("190/463", refusal(190, 463, status=401), 4, "graph.token_expired"),
    Case("190/464", refusal(190, 464, status=401), 4, "graph.user_unconfirmed"),
    Case("190/467", refusal(190, 467, status=401), 4, "graph.token_invalid"),
    Case("190/492", refusal(190, 492, status=401), 4, "graph.page_role_lost"),
    Case("10", refusal(10, status=403), 4, "graph.permission"),
    Case("200", refusal(200, status=403), 4, "graph.permission"),
    Case("294", refusal(294, status=403), 4, "graph.app_not_listed"),
    Case("200/1870034", refusal(200, 1870034, status=403), 4, "graph.terms_not_accepted"),
    Case("200/1870090", refusal(200, 1870090, status=403), 4, "graph.terms_not_accepted"),
    Case("368", refusal(368), 5, "graph.blocked"),
    Case("471", refusal(471), 5, "graph.audience_flagged"),
    Case("100/1713230", refusal(100, 1713230), 5, "graph.audience_flagged"),
    Case("2650/1870145", refusal(2650, 1870145), 6, "graph.update_in_progress"),
    Case("2650", refusal(2650), 5, "graph.update_refused"),
    Case("803 for good", refusal(803, status=404), 5, "graph.unknown_object", times=3),
    Case("100/33 for good", refusal(100, 33), 4, "graph.not_visible", times=3),
    Case("2 for good", refusal(2, status=503), 6, "graph.unavailable", times=6),
    Case("dropped for good", {"do": "drop_after"}, 6, "graph.cut", times=6),
]


@pytest.mark.parametrize("case", TRANSIENT, ids=str)
def test_what_passes_is_repaired_within_the_run(case: Case, story: Story, few: tuple[int, str]):
    story.script({"after": case.after, "times": case.times, **case.fault})
    report = story.export()
    assert story.fired() == [case.times]
    assert (report.exit_code, report.tally.added, report.left) == (0, FEW, 0)
    assert story.held() == few
    again = story.export()
    assert (again.tally.unchanged, again.tally.batches_sent) == (FEW, 0)
    assert story.held() == few


@pytest.mark.parametrize(("code", "subcode"), THROTTLES)
def test_a_throttle_that_names_a_wait_is_waited_for_just_so_long(
    code: int, subcode: int | None, story: Story, few: tuple[int, str]
):
    account = story.sandbox["ad_account"].removeprefix("act_")
    story.script({"after": 1, **refusal(code, subcode, headers=usage_headers(code, account, wait=5))})
    pace = pace_on(FakeTime(), base=0.01)  # no time passes but what is waited
    report = story.export(pace=pace)
    assert (report.exit_code, report.tally.added, report.tally.batches_retried) == (0, FEW, 1)
    # 4 names no time: from 95 % on, two requests begin 15 seconds apart.
    assert pace.waited == (300 if code != 4 else 15)
    assert story.held() == few


@pytest.mark.parametrize("case", FATAL, ids=str)
def test_what_does_not_pass_ends_the_run_with_its_own_word_and_the_next_run_goes_on(
    case: Case, story: Story, few: tuple[int, str]
):
    story.script({"after": case.after, "times": case.times, **case.fault})
    assert story.export_or_error() == (case.exit_code, case.code)
    assert story.fired() == [case.times]
    story.calm()
    report = story.export()
    assert (report.exit_code, report.tally.unchanged, report.tally.added) == (0, BATCH, FEW - BATCH)
    assert story.held() == few


def test_a_throttle_longer_than_max_wait_ends_the_run_with_nothing_lost(story: Story, few: tuple[int, str]):
    account = story.sandbox["ad_account"].removeprefix("act_")
    story.script({"after": 1, **refusal(80003, 2446079, headers=usage_headers(80003, account, wait=180))})
    assert story.export_or_error() == (6, "graph.throttled")
    report = story.export()
    assert (report.tally.unchanged, report.tally.added) == (BATCH, FEW - BATCH)
    assert story.held() == few


@pytest.mark.parametrize("do", ["drop_before", "drop_after", "truncate", "hang", "html"])
def test_removing_survives_a_lost_answer(do: str, story: Story):
    assert story.export().exit_code == 0
    story.write(30)
    story.script({"method": "DELETE", "do": do})
    report = story.export()
    assert (report.tally.to_remove, report.tally.removed) == (FEW - 30, FEW - 30)
    assert story.held() == rightly(30)
    assert story.export().tally.batches_sent == 0


REPLACE_FATAL = [
    Case("1870145", refusal(2650, 1870145), 6, "graph.update_in_progress"),
    Case("1870158", refusal(2650, 1870158), 6, "graph.replace_timed_out"),
    Case("1870147", refusal(2650, 1870147), 6, "graph.replace_not_started"),
    Case("1870159", refusal(2650, 1870159), 6, "graph.replace_finished"),
    Case("1870148", refusal(2650, 1870148), 6, "graph.replace_partial"),
    Case("1870144", refusal(2650, 1870144), 5, "graph.replace_unsupported"),
]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("case", REPLACE_FATAL, ids=str)
def test_a_replacement_that_fails_is_made_good_by_mirror(case: Case, after: int, story: Story, few: tuple[int, str]):
    story.script({"edge": "usersreplace", "after": after, **case.fault})
    assert story.export_or_error(mode="replace") == (case.exit_code, case.code)
    story.calm()
    story.world(advance_seconds=5401)  # Meta closes a replacement that was begun with what has arrived
    assert story.export(mode="mirror").exit_code == 0
    assert story.held() == few


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("do", ["drop_before", "drop_after", "truncate", "hang", "html", "413", "1"])
def test_a_replacement_survives_a_lost_answer_at_any_batch(do: str, after: int, story: Story):
    fault = {"html": {"do": "html"}, "413": {"do": "html", "status": 413}, "1": refusal(1)}.get(do, {"do": do})
    story.write(2 * BATCH + 500, first=7)
    story.script({"edge": "usersreplace", "after": after, **fault})
    report = story.export(mode="replace")
    assert (report.exit_code, report.tally.added) == (0, 2 * BATCH + 500)
    assert story.held() == rightly(2 * BATCH + 500, first=7)


def kinds(account: str) -> list[dict[str, Any]]:
    """Every fault that passes: throttles bare and with a wait, then all else."""
    return [
        *(refusal(code, sub) for code, sub in THROTTLES),
        *(refusal(code, sub, headers=usage_headers(code, account, wait=1)) for code, sub in THROTTLES),
        *(case.fault for case in TRANSIENT if not case.name.startswith("throttle")),
    ]


# Each request may fail five times in a row for reasons other than its rate. Six requests can be unlucky: the storms of the
# usual suite share the kinds among them, so that no request can meet six; the long storm has them all at once.
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_a_storm_just_the_right_members_arrive(seed: int, story: Story):
    mixed = [kind for number, kind in enumerate(kinds(story.sandbox["ad_account"][4:])) if number % 3 == seed]
    weather(story, random.Random(seed), mixed, 60_000, calls=12)


@pytest.mark.stress
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_in_a_long_storm_of_everything_just_the_right_members_arrive(seed: int, story: Story):
    weather(story, random.Random(seed), kinds(story.sandbox["ad_account"][4:]), 500_000, calls=70)


def weather(story: Story, dice: random.Random, mixed: list[dict[str, Any]], count: int, *, calls: int) -> None:
    """Export ``count`` profiles through a storm of the ``mixed`` faults, then look at every number there is."""
    story.write(count)
    places = sorted(dice.sample(range(calls), len(mixed)))
    story.script(*({**kind, "after": at} for at, kind in zip(places, dice.sample(mixed, len(mixed)), strict=True)))
    report = story.export()
    assert story.fired() == [1] * len(mixed)
    report.check()
    tally = report.tally
    assert (report.exit_code, tally.read, tally.eligible, tally.added, tally.invalid) == (0, count, count, count, 0)
    assert tally.batches_retried > 0
    assert story.held() == rightly(count)
    again = story.export()
    assert (again.tally.unchanged, again.tally.to_add, again.tally.batches_sent) == (count, 0, 0)
    assert story.held() == rightly(count)
