"""Every way the sandbox says no: Meta's error envelope, its codes, subcodes, words and HTTP statuses.

Owns the table of known refusals. Knows nothing of requests, tokens or the world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Words:
    """What Meta says for one code and subcode: the developer's message, and the title and text shown to people."""

    message: str
    title: str | None = None
    text: str | None = None


# Titles and numbers are from the error tables of the specification (§1.8, §2.3, §7, §8); the sentences are our own.
KNOWN: dict[tuple[int, int | None], Words] = {
    (1, None): Words("An unknown error occurred"),
    (1, 99): Words("Please reduce the amount of data you're asking for, then retry your request"),
    (2, None): Words("Service temporarily unavailable"),
    (3, None): Words("(#3) Application does not have the capability to make this API call."),
    (4, None): Words("(#4) Application request limit reached"),
    (10, None): Words("(#10) Application does not have permission for this action"),
    (17, 2446079): Words(
        "User request limit reached",
        "Ad Account Has Too Many API Calls",
        "There have been too many calls from this ad-account. Wait a bit and try again.",
    ),
    (32, None): Words("(#32) Page request limit reached"),
    (100, None): Words("(#100) Invalid parameter"),
    (100, 33): Words(
        "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, "
        "or does not support this operation."
    ),
    (100, 1713228): Words(
        "(#100) Invalid parameter",
        "Custom Audience Cannot Be Edited",
        "This audience was flagged and cannot be edited.",
    ),
    (100, 1713230): Words(
        "(#100) Invalid parameter",
        "Audience Upload Blocked",
        "This audience was flagged; nothing can be uploaded to it.",
    ),
    (100, 1713231): Words("(#100) Invalid parameter", "Audience Fields Must Be Fixed", "Fix the flagged fields first."),
    (100, 1752129): Words(
        "(#100) Invalid parameter", "Unsupported Task Combination", "These tasks cannot be combined on this asset."
    ),
    (102, None): Words("Session key invalid or no longer valid"),
    (104, None): Words("An access token is required to request this resource."),
    (105, None): Words("(#105) Too many parameters"),
    (190, None): Words("Invalid OAuth access token - Cannot parse access token"),
    (190, 458): Words("Error validating access token: The user has not authorized this application."),
    (190, 459): Words("Error validating access token: The user is checkpointed and must log in at www.facebook.com."),
    (190, 460): Words("Error validating access token: The session was invalidated because the password was changed."),
    (190, 463): Words("Error validating access token: Session has expired."),
    (190, 464): Words("Error validating access token: Sessions for the user are not allowed: unconfirmed user."),
    (190, 467): Words("Error validating access token: The session is invalid because the user logged out."),
    (190, 492): Words("Error validating access token: The user does not have a role on the linked Page."),
    (194, None): Words("(#194) Missing at least one required parameter"),
    (200, None): Words("(#200) Permissions error"),
    (200, 1870034): Words(
        "(#200) Permissions error", "Custom Audience Terms Not Accepted", "Accept the Custom Audience terms first."
    ),
    (200, 1870047): Words(
        "(#200) Permissions error", "Audience Size too Low", "This removal would make the audience too small."
    ),
    (200, 1870050): Words(
        "(#200) Permissions error", "Ad Account Not Linked To Business", "Link the ad account to a business first."
    ),
    (200, 1870090): Words(
        "(#200) Permissions error", "Custom Audience Terms Not Accepted", "Accept the Custom Audience terms first."
    ),
    (270, None): Words("(#270) This app is in development mode: the token must belong to an admin of app and account."),
    (294, None): Words("(#294) Managing ads needs ads_management and an allow-listed app"),
    (341, None): Words("(#341) Application limit reached"),
    (368, None): Words(
        "(#368) The action attempted has been deemed abusive or is otherwise disallowed",
        "You Are Temporarily Blocked",
        "This was done too often or is not allowed for now.",
    ),
    (471, None): Words("(#471) This audience was flagged", "Audience Restricted", "Appeal or make a new audience."),
    (613, None): Words("(#613) Calls to this api have exceeded the rate limit."),
    (613, 1487742): Words(
        "(#613) Calls to this api have exceeded the rate limit.", "Too Many API Calls", "Too many calls; wait a bit."
    ),
    (803, None): Words("(#803) Some of the aliases you requested do not exist: users"),
    (2500, None): Words("Unknown path components"),
    (2635, None): Words("(#2635) You are calling a deprecated version of the Ads API."),
    (2650, None): Words("(#2650) Failed to update the custom audience"),
    (2650, 1870144): Words(
        "(#2650) Failed to update the custom audience",
        "DFCA Size Not Supported For Replace",
        "The audience is too large to be replaced.",
    ),
    (2650, 1870145): Words(
        "(#2650) Failed to update the custom audience",
        "Audience Update In Progress",
        "Another replace of this audience is running.",
    ),
    (2650, 1870147): Words(
        "(#2650) Failed to update the custom audience",
        "Invalid Upload Batch for Replace",
        "The replace has not been started: its first batch is missing.",
    ),
    (2650, 1870148): Words(
        "(#2650) Failed to update the custom audience",
        "Something Went Wrong",
        "The replace was done only in part. Run it again.",
    ),
    (2650, 1870158): Words(
        "(#2650) Failed to update the custom audience",
        "Replace Session Timed Out",
        "More than 90 minutes have passed since the first batch.",
    ),
    (2650, 1870159): Words(
        "(#2650) Failed to update the custom audience",
        "Replace Session Finished",
        "The last batch of this replace was already received.",
    ),
    (2654, None): Words("(#2654) Failed to create custom audience"),
    (2654, 1713092): Words(
        "(#2654) Failed to create custom audience",
        "No Write Permission",
        "You have no permission to create audiences in this ad account.",
    ),
    (2655, None): Words("(#2655) Marketing Messaging terms are not accepted"),
    (2656, None): Words(
        "(#2656) Failed to delete the custom audience", "Lookalikes Exist", "Lookalike audiences were built from it."
    ),
    (2663, None): Words("(#2663) Terms of service has not been accepted: custom audience terms of the user"),
    (2664, None): Words("(#2664) Terms of service has not been accepted: custom audience terms of the business"),
    (80003, 2446079): Words(
        "(#80003) There have been too many calls to this ad-account.",
        "Ad Account Has Too Many API Calls",
        "There have been too many custom audience calls on this ad-account. Wait a bit and try again.",
    ),
    (80004, 2446079): Words(
        "(#80004) There have been too many calls to this ad-account.",
        "Ad Account Has Too Many API Calls",
        "There have been too many calls to this ad-account. Wait a bit and try again.",
    ),
}

FORBIDDEN = frozenset({3, 4, 10, 270, 294})


def words_for(code: int, subcode: int | None = None) -> Words:
    """Find what Meta would say: the subcode's words, else the code's, else a plain sentence."""
    for key in ((code, subcode), (code, None)):
        if key in KNOWN:
            return KNOWN[key]
    alike = next((words for (known, _), words in KNOWN.items() if known == code), None)
    return alike or Words(f"(#{code}) The request was refused")


def status_for(code: int) -> int:
    """Pick the HTTP status Meta usually sends with a code (unconfirmed: clients must read the body)."""
    if code == 190:
        return 401
    if code in FORBIDDEN or 200 <= code <= 299:
        return 403
    return {1: 500, 2: 503}.get(code, 400)


@dataclass(slots=True)
class Refusal(Exception):  # noqa: N818 - it is what Meta says, not something gone wrong here
    """One error envelope on its way to the client.

    ``message`` defaults to the table's words. Nothing a client sent as a cell, token or body may be put into it.
    """

    code: int
    message: str | None = None
    subcode: int | None = None
    kind: str | None = None
    status: int | None = None
    is_transient: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def http_status(self) -> int:
        """Say the HTTP status to answer with."""
        return self.status if self.status is not None else status_for(self.code)

    def envelope(self, trace: str) -> dict[str, Any]:
        """Build ``{"error": {…}}`` in the order Meta prints it."""
        words = words_for(self.code, self.subcode)
        transient = self.is_transient if self.is_transient is not None else self.code in {1, 2}
        error: dict[str, Any] = {"message": self.message or words.message, "type": self.kind or "OAuthException"}
        error["code"] = self.code
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["is_transient"] = transient
        if words.title is not None:
            error["error_user_title"] = words.title
            error["error_user_msg"] = words.text
        return {"error": {**error, **self.extra, "fbtrace_id": trace}}


def missing(names: str) -> Refusal:
    """Refuse for a parameter that had to be there."""
    return Refusal(100, f"(#100) Missing parameter(s): {names}")


def invalid(what: str) -> Refusal:
    """Refuse for a parameter that cannot be."""
    return Refusal(100, f"(#100) {what}")


def unseen(node: str, verb: str) -> Refusal:
    """Say 100/33: the object is gone, hidden from this token or does not do that."""
    return Refusal(
        100,
        f"Unsupported {verb.lower()} request. Object with ID '{node[:64]}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        subcode=33,
        kind="GraphMethodException",
    )


def forbidden(what: str) -> Refusal:
    """Say 200: this person or token may not do that."""
    return Refusal(200, f"(#200) {what}")
