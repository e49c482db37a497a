"""The sandbox's control, away from Graph paths: what its audiences hold, how often they were written to, which faults it plays.

Every function takes the sandbox's ``base_url``.
"""

from __future__ import annotations

from typing import Any

import httpx


def _ask(method: str, base_url: str, page: str, body: dict[str, Any] | None = None) -> Any:
    # Certificates take longer to load than an answer takes, and loopback has none.
    answer = httpx.request(method, f"{base_url}/_sandbox/{page}", json=body, timeout=60, verify=False)
    return answer.raise_for_status().json()


def reset(base_url: str) -> None:
    """The seeded world again, and no fault."""
    _ask("POST", base_url, "reset")


def state_of(base_url: str) -> dict[str, Any]:
    return dict(_ask("GET", base_url, "state"))


def held(base_url: str, name: str = "People") -> tuple[int, str]:
    """How many members an audience has, and their digest."""
    (audience,) = [one for one in state_of(base_url)["audiences"] if one["name"] == name]
    return audience["members"], audience["digest"]


def uploads(base_url: str) -> int:
    """How often members were added, taken out or replaced."""
    calls = state_of(base_url)["calls"]
    return int(calls.get("users", 0)) + int(calls.get("usersreplace", 0))


def script(base_url: str, *faults: dict[str, Any]) -> None:
    _ask("POST", base_url, "faults", {"faults": list(faults)})


def script_upload(base_url: str, **fault: Any) -> None:
    """A fault of the requests that add members."""
    script(base_url, {"edge": "users", "method": "POST", **fault})


def fired(base_url: str) -> int:
    """How often the last of the faults was met."""
    return int(_ask("GET", base_url, "faults")["faults"][-1]["fired"])


def calm(base_url: str) -> None:
    """No fault from now on."""
    _ask("DELETE", base_url, "faults")


def change_world(base_url: str, **change: Any) -> None:
    _ask("POST", base_url, "world", change)
