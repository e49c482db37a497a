"""What people look at, where a terminal is narrow."""

from __future__ import annotations

import io

from rich.console import Console

from connector.cli.render import table

RUN, AUDIENCE = "20261122-020229-913894", "120210000000000550"


def test_an_id_stays_in_one_line_on_a_narrow_terminal_and_prose_is_folded() -> None:
    columns = ("RUN", "DESTINATION", "AUDIENCE", "READ", "WHY")
    rows = [(RUN, "demo", AUDIENCE, "500,000", "more of the customers would leave than may leave")]
    shown = io.StringIO()
    Console(file=shown, width=60).print(table(columns, rows, empty="Nothing yet."), crop=False)
    lines = shown.getvalue().splitlines()
    assert any(RUN in line and AUDIENCE in line and "500,000" in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) < 100
    assert all(word in shown.getvalue() for word in ("customers", "may leave"))
