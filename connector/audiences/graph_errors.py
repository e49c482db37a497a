"""What Meta's refusals mean: one ordered table from code and subcode to an error, a hint and a word on retrying.

Owns the table and the sentences people read. Must not know how a request is sent, nor what Meta's texts say: their wording
changes without notice (meta-graph-api.md, 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from connector.errors import AccessError, ConfigError, ConnectorError, RejectedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Collection

Retry = Literal["no", "yes", "delayed", "later"]
"""``yes``: the same request again after a back-off; ``delayed``: a throttle, all calls of the account wait;
``later``: not the same request, but the caller or the next run may try something again."""

TERMS_LINK: Final = "https://business.facebook.com/ads/manage/customaudiences/tos/?act="


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: what it matches, what it becomes.

    ``codes`` or ``subcodes`` of ``None`` match any. ``times`` is how often the same request is sent again at most.
    ``smaller`` says that less data in one request may pass. ``{account}`` in a hint is the ad account's bare number.
    """

    word: str
    error: type[ConnectorError]
    says: str
    hint: str
    codes: Collection[int] | None = ()
    subcodes: Collection[int] | None = None
    retry: Retry = "no"
    times: int = 0
    smaller: bool = False

    def matches(self, code: int, subcode: int | None) -> bool:
        """Say whether this row speaks of that refusal; a subcode may also arrive as the code itself."""
        if self.subcodes is None:
            return self.codes is None or code in self.codes
        if self.codes is None:
            return subcode in self.subcodes or code in self.subcodes
        return code in self.codes and subcode in self.subcodes


_CONNECT = "Connect again: connector connect DESTINATION."
_LATER = "Run the same command again later: nothing is lost."
_CHOOSE = "Choose another audience, or create one with --new-audience."

# The layout below is by hand: a table, where one row reads as one thing.
# fmt: off
# First match wins: subcodes stand before the code they belong to.
RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "graph.throttled", TransientError, "Meta limits the calls of this ad account or app", _LATER,
        codes=(4, 17, 32, 341, 613, *range(80000, 80015)), retry="delayed",
    ),
    Rule(
        "graph.terms_not_accepted", AccessError, "Meta's Custom Audience terms are not accepted",
        f"A person with access to the ad account's business accepts them at {TERMS_LINK}{{account}}, then run again.",
        codes=None, subcodes=(1870034, 1870090, 2663, 2664),
    ),
    Rule(
        "graph.business_tools_terms", AccessError, "Meta's Business Tools terms are not accepted",
        "An admin of the ad account's business accepts them in Business Settings.", codes=None, subcodes=(1870092,),
    ),
    Rule(
        "graph.audience_too_small", RejectedError, "Meta refuses a removal that would leave too few people",
        "Keep these members, or delete the whole audience.", codes=None, subcodes=(1870047,),
    ),
    Rule(
        "graph.account_without_business", AccessError, "The ad account belongs to no business portfolio",
        "An admin of the account claims it into a portfolio: Business Settings, Accounts, Ad accounts.", codes=None,
        subcodes=(1870050,),
    ),
    Rule(
        "graph.audience_disabled", RejectedError, "A disabled audience is involved", _CHOOSE, codes=None,
        subcodes=(1870065,),
    ),
    Rule(
        "graph.audience_not_shared", RejectedError, "The audience is not shared with this ad account", _CHOOSE,
        codes=None, subcodes=(1487301,),
    ),
    Rule("graph.audience_deleted", RejectedError, "The audience is deleted", _CHOOSE, codes=None, subcodes=(1487366,)),
    Rule("graph.token_expired", AccessError, "The token has expired", _CONNECT, codes=(102, 190), subcodes=(463,)),
    Rule(
        "graph.app_not_authorised", AccessError, "The person has not authorised this app, or took it back", _CONNECT,
        codes=(102, 190), subcodes=(458,),
    ),
    Rule(
        "graph.checkpoint", AccessError, "Meta holds the person's login for a security check",
        "The person logs in at https://www.facebook.com and follows the steps there, then run again.", codes=(102, 190),
        subcodes=(459,),
    ),
    Rule(
        "graph.password_changed", AccessError, "The person's password has changed since the token was made", _CONNECT,
        codes=(102, 190), subcodes=(460,),
    ),
    Rule(
        "graph.user_unconfirmed", AccessError, "The person's account is not confirmed",
        "The person logs in at https://www.facebook.com and confirms the account, then run again.", codes=(102, 190),
        subcodes=(464,),
    ),
    Rule(
        "graph.page_role_lost", AccessError, "The person has lost the role on the linked Page",
        "An admin of the Page gives the role back, then connect again.", codes=(102, 190), subcodes=(492,),
    ),
    Rule("graph.token_invalid", AccessError, "The token is not valid (any more)", _CONNECT, codes=(190,)),
    Rule("graph.session_invalid", AccessError, "The session is not valid (any more)", _CONNECT, codes=(102,)),
    Rule(
        "graph.bad_signature", AccessError, "Meta refuses the signature of the call",
        "CONNECTOR_APP_SECRET is not the secret of the app that made the token.", codes=(104,),
    ),
    Rule(
        "graph.capability", AccessError, "The Meta app lacks the capability for this call",
        "The owner of the app asks Meta for it: App Dashboard, App Review.", codes=(3,),
    ),
    Rule(
        "graph.app_development", AccessError, "The Meta app is at development level",
        "The token must belong to an admin of both app and ad account, or the app passes App Review.", codes=(270,),
    ),
    Rule(
        "graph.app_not_listed", AccessError,
        "The token lacks ads_management, or the Meta app is not allowed to manage ads",
        "Connect again and grant ads_management; the owner of the app checks its access level.", codes=(294,),
    ),
    Rule(
        "graph.permission", AccessError, "This token may not do this here",
        "Run connector check access: it names the missing permission or task and who can give it.",
        codes=(10, *range(200, 300)),
    ),
    Rule(
        "graph.messaging_terms", AccessError, "Meta's Marketing Messaging terms are not accepted",
        "An admin of the business accepts them in Business Settings.", codes=(2655,),
    ),
    Rule(
        "graph.not_visible", AccessError, "The object does not exist, or this token may not see it",
        "Check the id; a system user must be assigned to the ad account. Run connector check access.", codes=(100,),
        subcodes=(33,),
    ),
    Rule(
        "graph.audience_flagged", RejectedError, "Meta has restricted the audience",
        "Appeal in Audience Manager, or choose a new audience.", codes=None, subcodes=(471, 1713228, 1713230, 1713231),
    ),
    Rule(
        "graph.tasks_unsupported", RejectedError, "Meta does not support this combination of tasks",
        "Ask for ADVERTISE and ANALYZE, or for MANAGE as well.", codes=(100,), subcodes=(1752129,),
    ),
    Rule(
        "graph.bad_rule", RejectedError, "The audience's rule is not valid",
        "Lists need no rule: choose a customer list.", codes=(100,), subcodes=(1713098,),
    ),
    Rule(
        "graph.invalid_parameter", RejectedError, "Meta refuses a parameter",
        "If the app demands appsecret_proof, set CONNECTOR_APP_SECRET; otherwise please report this with the trace id.",
        codes=(100,),
    ),
    Rule(
        "graph.parameters", RejectedError, "Too many or missing parameters", "Please report this with the trace id.",
        codes=(105, 194),
    ),
    Rule(
        "graph.blocked", RejectedError, "Meta blocks this action as abusive for a time",
        "Stop for an hour at least and look at Account Quality before the next run.", codes=(368,),
    ),
    Rule(
        "graph.unknown_object", RejectedError, "Meta does not know this object",
        "If it was created a moment ago, run again in a minute; otherwise check the id.", codes=(803,),
    ),
    Rule(
        "graph.bad_query", RejectedError, "Meta cannot read the query", "Please report this with the trace id.",
        codes=(2500,),
    ),
    Rule(
        "graph.permission_update", RejectedError, "Meta refuses this change of permissions",
        "Check the tasks and who owns the asset.", codes=(2620,),
    ),
    Rule(
        "graph.version_retired", RejectedError, "Meta no longer serves this version of the API",
        "Set a newer graph_version in connector.yaml.", codes=(2635,),
    ),
    Rule(
        "graph.update_in_progress", TransientError, "The audience is being replaced at the moment",
        "Wait until Meta shows it as ready, then run again.", codes=(2650,), subcodes=(1870145,), retry="later",
    ),
    Rule(
        "graph.replace_timed_out", TransientError,
        "The replace session was open for more than 90 minutes and is closed",
        "The next run adds what is missing; mode mirror has no such limit.", codes=(2650,), subcodes=(1870158,),
        retry="later",
    ),
    Rule(
        "graph.replace_not_started", TransientError, "Meta has not seen the first batch of the replace session", _LATER,
        codes=(2650,), subcodes=(1870147,), retry="later",
    ),
    Rule(
        "graph.replace_finished", TransientError, "The replace session is already closed",
        "Wait until Meta shows the audience as ready; the next run adds what is missing.", codes=(2650,),
        subcodes=(1870159,), retry="later",
    ),
    Rule(
        "graph.replace_partial", TransientError, "Meta could replace the audience only in part",
        "Run the replace again.", codes=(2650,), subcodes=(1870148,), retry="later",
    ),
    Rule(
        "graph.replace_unsupported", RejectedError, "Meta cannot replace an audience of this size",
        "Use mode mirror: it adds and removes only what differs.", codes=(2650,), subcodes=(1870144,),
    ),
    Rule(
        "graph.update_refused", RejectedError, "Meta refuses to update the audience",
        "If it was first filled by another tool, in another style of data, it takes only that style: create a new one.",
        codes=(2650,),
    ),
    Rule(
        "graph.no_write_access", AccessError, "This token may not create audiences in the ad account",
        "Ask for the task ADVERTISE on it. Run connector check access.", codes=(2654,), subcodes=(1713092,),
    ),
    Rule(
        "graph.create_failed", RejectedError, "Meta refuses to create the audience",
        "An ad account holds 500 customer lists at most: delete some, or choose an existing one.", codes=(2654,),
    ),
    Rule(
        "graph.lookalikes_exist", RejectedError, "Lookalike audiences are built from this audience",
        "Delete those first.", codes=(2656,),
    ),
    # "Reduce the amount of data" comes as code 1 as well: on repeat less data in one request may pass.
    Rule(
        "graph.unknown", TransientError, "Meta reports an unknown error", _LATER, codes=(1,), retry="yes", times=5,
        smaller=True,
    ),
    Rule(
        "graph.unavailable", TransientError, "Meta's service is not available for the moment", _LATER, codes=(2,),
        retry="yes", times=5,
    ),
    Rule(
        "graph.technical", TransientError, "Meta reports a technical error", _LATER, codes=(1150, 3919, 5000, 21009),
        retry="yes", times=3,
    ),
    Rule(
        "graph.internal", TransientError, "Meta reports an internal error", _LATER, codes=range(-(2**31), 0),
        retry="yes", times=3,
    ),
)

# Refusals of an upload that one bad row can bring about ("Data is missing or does not match schema"): worth looking for it.
ABOUT_ROWS: Final = frozenset({"graph.invalid_parameter"})

# Meta's own word on retrying beats the row that the code alone would pick.
TRANSIENT: Final = Rule("graph.transient", TransientError, "Meta asks to try again", _LATER, retry="yes", times=5)
# A code that no row knows: the status decides, and a plain 4xx is a refusal.
UNKNOWN_DENIED: Final = Rule(
    "graph.permission", AccessError, "This token may not do this here", "Run connector check access.",
)
UNKNOWN: Final = Rule("graph.refused", RejectedError, "Meta refuses the call", "Please report this with the trace id.")
THROTTLED: Final = RULES[0]
SERVER_ERROR: Final = Rule("graph.server_error", TransientError, "Meta's server failed", _LATER, retry="yes", times=5)

# No envelope came back at all.
TOO_LARGE: Final = Rule("graph.too_large", TransientError, "The request was too large for Meta", _LATER, smaller=True)
URL_TOO_LONG: Final = Rule(
    "graph.url_too_long", RejectedError, "The address of the call was too long for Meta", "Please report this.",
)
HTML: Final = Rule(
    "graph.html", TransientError, "A web page or plain text came back where an answer was due", _LATER, retry="yes", times=5,
    smaller=True,
)
EMPTY: Final = Rule("graph.empty", TransientError, "An empty answer came back", _LATER, retry="yes", times=5)
TRUNCATED: Final = Rule("graph.truncated", TransientError, "The answer broke off", _LATER, retry="yes", times=5)
TIMED_OUT: Final = Rule("graph.timeout", TransientError, "No answer came in time", _LATER, retry="yes", times=5)
CUT: Final = Rule("graph.cut", TransientError, "The connection was cut before the answer", _LATER, retry="yes", times=5)
NO_CONNECTION: Final = Rule(
    "graph.no_connection", TransientError, "Meta cannot be reached",
    "Check the network and HTTPS_PROXY, then run again.", retry="yes", times=5,
)
NOBODY_HERE: Final = Rule(
    "graph.no_connection", TransientError, "Meta cannot be reached: nothing answers at the address that CONNECTOR_GRAPH_URL names",
    "Is the sandbox still running? connector start sandbox. Else check that variable and the network.", retry="yes", times=2,
)
CERTIFICATE: Final = Rule(
    "graph.certificate", ConfigError, "The server's certificate cannot be verified",
    "If a proxy of your company reads TLS, SSL_CERT_FILE names the file with its certificate authority.",
)
TRANSPORT: Final[tuple[Rule, ...]] = (
    TOO_LARGE,
    URL_TOO_LONG,
    HTML,
    EMPTY,
    TRUNCATED,
    TIMED_OUT,
    CUT,
    NO_CONNECTION,
    NOBODY_HERE,
    CERTIFICATE,
)
# fmt: on


def rule_for(code: int, subcode: int | None = None, *, is_transient: bool = False, status: int | None = None) -> Rule:
    """Find the row: Meta's word on retrying first, then the code, then the status, then the guess.

    >>> rule_for(190, 463).word
    'graph.token_expired'
    >>> rule_for(190, 463, is_transient=True).word
    'graph.transient'
    >>> rule_for(424242, status=503).word
    'graph.server_error'
    """
    rule = next((row for row in RULES if row.matches(code, subcode)), None)
    if is_transient and (rule is None or rule.retry == "no"):
        return TRANSIENT
    return rule or by_status(status)


def by_status(status: int | None) -> Rule:
    """Find the row for an answer whose body says nothing we know."""
    if status is None:
        return UNKNOWN
    if status >= 500:
        return SERVER_ERROR
    return {401: UNKNOWN_DENIED, 403: UNKNOWN_DENIED, 413: TOO_LARGE, 414: URL_TOO_LONG, 429: THROTTLED}.get(
        status, UNKNOWN
    )
