"""The sandbox as one web application: control and pages under ``/_sandbox``, the login dialog, Graph for all the rest.

Needs the extra ``sandbox`` (FastAPI). Sockets are ``server``'s.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from connector.sandbox import control
from connector.sandbox.oauth import dialog_answer, dialog_page
from connector.sandbox.parameters import read_parameters
from connector.sandbox.refusals import Refusal
from connector.sandbox.seed import seeded_world
from connector.sandbox.stage import Stage
from connector.sandbox.wire import GraphApp

if TYPE_CHECKING:
    from starlette.requests import Request

    from connector.sandbox.world import World

DIALOG = re.compile(r"(/v[0-9]+\.[0-9]+)?/dialog/oauth")
LARGEST_FORM = 100_000


def create_app(world: World | None = None, *, latency_ms: int = 0) -> FastAPI:
    """Build the application around a world, by default the seeded one; ``latency_ms`` delays every Graph answer.

    After ``POST /_sandbox/reset`` it is the seeded world again.
    """
    stage = Stage(world or seeded_world(), seeded_world, latency_ms)

    async def dialog(request: Request) -> Response:
        body = await request.body()
        if len(body) > LARGEST_FORM:
            return HTMLResponse("too large", status_code=413)
        query = request.scope["query_string"]
        try:
            given = read_parameters(query, request.headers.get("content-type", ""), body)
            if request.method == "POST":
                chosen = control.repeated(body, "granted")
                given.values["granted"] = chosen
                return RedirectResponse(dialog_answer(stage.world, given), status_code=302)
            return HTMLResponse(dialog_page(stage.world, given))
        except Refusal as refusal:
            return HTMLResponse(control.error_page(refusal), status_code=400)

    app = FastAPI(title="connector sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.stage = stage
    for path in ("/dialog/oauth", "/{version}/dialog/oauth"):
        app.router.routes.append(Route(path, dialog, methods=["GET", "POST"]))
    app.router.routes.extend(control.routes(stage))
    app.mount("/", GraphApp(stage))
    return app
