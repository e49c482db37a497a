from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import pytest

from connector.errors import GuardError
from connector.job import LONGEST_BLIND, Job, Options
from connector.state import Destination, State

NOTHING = cast("Any", None)  # what is not asked between two batches


@pytest.mark.parametrize("removed", [False, True])
def test_an_admin_who_steps_in_is_noticed_however_fast_batches_come(state_url: str, removed: bool) -> None:
    with State.open(state_url) as state:
        demo = state.add_destination(Destination("demo", "act_1"))
        job = Job(NOTHING, NOTHING, demo, "mirror", NOTHING, state, Options())
        job.before_batch()
        if removed:
            state.remove_destination("demo")
        else:
            state.update_destination(replace(demo, paused_at="2026-01-01T00:00:00Z"))
        given_up = time.monotonic() + 20 * LONGEST_BLIND
        refused: GuardError | None = None
        while refused is None and time.monotonic() < given_up:
            try:
                job.before_batch()
            except GuardError as error:
                refused = error
        assert refused is not None
        assert refused.code == ("destination.removed" if removed else "destination.paused")
