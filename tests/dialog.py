"""Meta's login dialog as somebody at a browser answers it, on the sandbox."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Collection

SCOPES = ("ads_management", "business_management")


def answer_dialog(address: str, granted: Collection[str] | None = SCOPES) -> str:
    """Tick boxes and press the button; gives the address one is sent back to. None granted at all (``None``) is Cancel."""
    page = httpx.get(address)
    assert page.status_code == 200, page.text
    fields = {
        name: html.unescape(value)
        for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    }
    offered = re.findall(r'name="granted" value="(\w+)"', page.text)
    ticked = [scope for scope in offered if granted is not None and scope in granted]
    button = "decline" if granted is None else "accept"
    done = httpx.post(address.partition("?")[0], data={**fields, "granted": ticked, "answer": button})
    return done.headers["location"]
