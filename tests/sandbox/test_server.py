"""The sandbox as a process of its own: it says where it is, serves, and stops cleanly."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest

from connector.sandbox.app import create_app
from connector.sandbox.seed import seeded_world
from connector.sandbox.server import running, serve

SERVE = """
import json
from connector.sandbox.server import serve
serve(latency_ms=1, ready=lambda description: print(json.dumps(description), flush=True))
print("stopped")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_stops_cleanly_on_a_signal(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        known = json.loads(process.stdout.readline())
        with httpx.Client(base_url=known["base_url"], verify=False) as http:
            assert http.get("/me", params={"access_token": known["token"]}).json()["id"] == known["user"]
            # A request that never ends must not keep the sandbox from ending.
            http.post("/_sandbox/faults", json={"faults": [{"do": "hang", "times": None}]})
            waiting = threading.Thread(target=_hang, args=(known["base_url"],))
            waiting.start()
            while not http.get("/_sandbox/faults").json()["faults"][0]["fired"]:
                pass
            process.send_signal(how)
        out, err = process.communicate(timeout=20)
        waiting.join(10)
    assert (process.returncode, out.strip(), err) == (0, "stopped", "")


def _hang(base_url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{base_url}/me", timeout=30, verify=False)


def test_the_description_is_what_the_contract_promises(sandbox_server: dict[str, Any]) -> None:
    assert {
        "base_url",
        "token",
        "app_id",
        "app_secret",
        "ad_account",
        "business",
        "client_business",
        "tokens",
        "ad_accounts",
        "obo_request",
    } <= set(sandbox_server)
    assert {
        "no_permission",
        "ads_read_only",
        "expired",
        "password_changed",
        "checkpointed",
        "revoked",
        "expiring_soon",
    } <= set(sandbox_server["tokens"])
    assert {"no_terms", "disabled", "unsettled", "closed", "not_shared", "personal", "agency_pending", "full"} <= set(
        sandbox_server["ad_accounts"]
    )
    assert json.loads(json.dumps(sandbox_server)) == sandbox_server


def test_a_taken_port_is_an_oserror(sandbox_server: dict[str, Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serve(port)
        with pytest.raises(OSError, match="in use"), running(port):
            pass


def test_every_graph_answer_takes_the_latency_asked_for() -> None:
    with running(latency_ms=60) as known, httpx.Client(base_url=known["base_url"], verify=False) as http:
        answer = http.get("/me", params={"access_token": known["token"]})
        assert answer.elapsed.total_seconds() >= 0.06
        http.get("/_sandbox/state")


def test_an_answer_leaves_at_once(sandbox_server: dict[str, Any], socket_client: httpx.Client) -> None:
    # With Nagle's algorithm on, each answer waits for the client's delayed acknowledgement: 40 ms.
    quickest = min(socket_client.get("/_sandbox/state").elapsed.total_seconds() for _ in range(20))
    assert quickest < 0.03


def test_an_own_world_is_served_until_the_reset() -> None:
    world = seeded_world()
    world.users[world.description["user"]].name = "Somebody else"

    async def names() -> list[str]:
        transport = httpx.ASGITransport(create_app(world))
        async with httpx.AsyncClient(transport=transport, base_url="http://here", verify=False) as client:
            token = {"access_token": world.description["token"]}
            before = (await client.get("/me", params=token)).json()["name"]
            await client.post("/_sandbox/reset")
            return [before, (await client.get("/me", params=token)).json()["name"]]

    assert asyncio.run(names()) == ["Somebody else", "Emma Agency"]


def test_the_package_alone_needs_no_web_server() -> None:
    code = "import sys, connector.sandbox; print([m for m in ('fastapi', 'uvicorn', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_and_tokens_are_the_same_every_time(sandbox_server: dict[str, Any]) -> None:
    again = seeded_world().description
    assert again == {name: value for name, value in sandbox_server.items() if name != "base_url"}
