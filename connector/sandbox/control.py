"""The sandbox's own paths, away from Graph: faults, state, reset, changes to the world, and a page to look at.

Shows counts and digests only, never a member, a token or a request body.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.audience_fields import read_status
from connector.sandbox.changes import change_world
from connector.sandbox.faults import ControlError, read_faults
from connector.sandbox.parameters import read_json
from connector.sandbox.uploads import settle, show_session

if TYPE_CHECKING:
    from starlette.requests import Request

    from connector.sandbox.call import Json
    from connector.sandbox.refusals import Refusal
    from connector.sandbox.stage import Stage
    from connector.sandbox.world import World


def show_state(world: World) -> Json:
    """Give ``GET /_sandbox/state``: audiences with member counts and digests, sessions, calls by edge.

    Seeded audiences are left out until they have received an upload: there are over 500 of them, all empty.
    """
    audiences = []
    for audience in world.audiences.values():
        settle(world, audience)
        if audience.seeded and not audience.content_updated:
            continue
        audiences.append(
            {
                "id": audience.id,
                "name": audience.name,
                "account_id": audience.account.removeprefix("act_"),
                "members": len(audience.members),
                "digest": audience.members.digest(),
                "operation_status": read_status(world, audience),
            }
        )
    sessions = [
        {
            "audience_id": session.audience,
            "kind": session.kind,
            "batches": session.batches,
            **show_session(world, session),
        }
        for session in world.sessions.values()
    ]
    return {"audiences": audiences, "sessions": sessions, "calls": dict(world.calls)}


def routes(stage: Stage) -> list[Route]:
    """Build the control paths of one stage."""

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                stage.world.faults.items.extend(read_faults(await _json(request)))
            except ControlError as wrong:
                return _refused(wrong)
        if request.method == "DELETE":
            stage.world.faults.items.clear()
        return JSONResponse({"faults": [fault.describe() for fault in stage.world.faults.items]})

    async def state(_request: Request) -> Response:
        return JSONResponse(show_state(stage.world))

    async def reset(_request: Request) -> Response:
        stage.reset()
        return JSONResponse({"success": True})

    async def world(request: Request) -> Response:
        try:
            return JSONResponse(change_world(stage.world, await _json(request)))
        except ControlError as wrong:
            return _refused(wrong)

    async def page(_request: Request) -> Response:
        return HTMLResponse(state_page(stage.world))

    return [
        Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/state", state, methods=["GET"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
        Route("/_sandbox/world", world, methods=["POST"]),
        Route("/_sandbox/", page, methods=["GET"]),
        Route("/_sandbox", page, methods=["GET"]),
    ]


async def _json(request: Request) -> Any:
    try:
        return read_json(await request.body())
    except ValueError:
        raise ControlError("the body is not JSON") from None


def _refused(wrong: ControlError) -> Response:
    return JSONResponse({"error": {"message": str(wrong)}}, status_code=400)


def repeated(body: bytes, name: str) -> list[str]:
    """Collect every value of a repeated form field."""
    return [value for key, value in parse_qsl(body.decode("utf-8", "replace")) if key == name]


def error_page(refusal: Refusal) -> str:
    """Write what the dialog shows when it cannot go on."""
    words = refusal.envelope("")["error"]["message"]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Error</title><p>{html.escape(words)}</p></html>"
    )


def state_page(world: World) -> str:
    """Write the page at ``/_sandbox/``: what the sandbox holds and has received, as counts and digests."""
    state = show_state(world)
    tables = [
        _table("Audiences", ["id", "name", "account_id", "members", "digest", "operation_status"], state["audiences"]),
        _table(
            "Sessions",
            ["session_id", "audience_id", "kind", "batches", "num_received", "num_invalid_entries", "stage"],
            state["sessions"],
        ),
        _table("Calls", ["edge", "calls"], [{"edge": edge, "calls": n} for edge, n in sorted(state["calls"].items())]),
        _table(
            "Faults",
            ["do", "edge", "method", "after", "times", "seen", "fired"],
            [fault.describe() for fault in world.faults.items],
        ),
    ]
    style = "body{font:15px system-ui;margin:2rem}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em}"
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>connector sandbox</title>"
        f"<style>{style}</style><h1>connector sandbox</h1>"
        "<p>Counts and digests of what this sandbox holds. It keeps no request and no identifier.</p>"
        + "".join(tables)
        + "</html>"
    )


def _table(title: str, columns: list[str], rows: list[Json]) -> str:
    head = "".join(f"<th>{name}</th>" for name in columns)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(name, '')))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    return f"<h2>{title}</h2><table><tr>{head}</tr>{lines}</table>"
