"""From a path to an answer: versions, nodes and edges, tokens, unknown things refused, quotas charged, batches.

Owns dispatch. Which kinds and edges exist stands in ``kinds``; bytes and sockets in ``wire``.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connector.sandbox.call import Call, Edge, Json, Kind, Listing, Written
from connector.sandbox.fields import PAGE, page, read_fields, render
from connector.sandbox.kinds import KINDS, ROOTS
from connector.sandbox.parameters import Parameters, read_parameters
from connector.sandbox.refusals import Refusal, invalid, unseen
from connector.sandbox.tokens import authenticate

if TYPE_CHECKING:
    from connector.sandbox.world import AdAccount, Token, World

VERSION = re.compile(r"v([0-9]{1,3})\.([0-9]{1,3})")
DEFAULT_VERSION = "v25.0"
OLDEST = 24
COMMON = frozenset(
    [
        "access_token",
        "appsecret_proof",
        "appsecret_time",
        "fields",
        "limit",
        "after",
        "before",
        "summary",
        "method",
        "format",
        "pretty",
        "debug",
        "locale",
        "ids",
        "date_format",
        "include_headers",
        "suppress_http_code",
        "metadata",
        "return_ssl_resources",
        "offset",
    ]
)
METHODS = frozenset({"GET", "POST", "DELETE"})
BATCH_LIMIT = 50
BATCH_KEYS = frozenset({"method", "relative_url", "body", "headers", "name", "access_token", "include_headers"})
IDS_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Request:
    """One Graph request, read: the version served, the path's segments, the method after overrides, the parameters."""

    version: str
    segments: tuple[str, ...]
    method: str
    parameters: Parameters
    bearer: str
    base_url: str


@dataclass(slots=True)
class Answer:
    """What goes back: a status, headers, and a JSON value."""

    status: int
    value: Any
    headers: dict[str, str] = field(default_factory=dict)


def split_path(path: str) -> tuple[str, tuple[str, ...]]:
    """Cut a path into its version (or the default one) and segments."""
    segments = tuple(segment for segment in path.split("/") if segment)
    if segments and VERSION.fullmatch(segments[0]):
        return segments[0], segments[1:]
    return DEFAULT_VERSION, segments


def method_of(method: str, parameters: Parameters) -> str:
    """Apply the ``method=DELETE`` override of a POST."""
    override = parameters.values.get("method")
    if method == "POST" and isinstance(override, str) and override.upper() in METHODS:
        return override.upper()
    return method


def edge_of(world: World, segments: tuple[str, ...]) -> str:
    """Name the edge of a path as faults and call counts do: the edge, or the kind of the node itself."""
    if not segments:
        return "batch"
    joined = "/".join(segments)
    if joined in ROOTS:
        return joined
    if len(segments) > 1:
        return segments[1]
    node = KINDS.get(type(find_node(world, segments[0], None)))
    return node.name if node else "unknown"


def find_node(world: World, name: str, token: Token | None) -> Any:
    """Find a node of any kind by its id; ``me`` is the token's user, Page or app."""
    if name == "me":
        if token is None:
            return next(iter(world.users.values()), None)
        return world.assets.get(token.page or "") or world.users.get(token.user or "") or world.apps.get(token.app)
    shelves: tuple[dict[str, Any], ...] = (
        world.accounts,
        world.audiences,
        world.businesses,
        world.users,
        world.requests,
        world.assets,
    )
    for shelf in shelves:
        if name in shelf:
            return shelf[name]
    return world.apps.get(name)


def respond(world: World, request: Request) -> Answer:
    """Answer one request, or say why not; never raises."""
    try:
        return _respond(world, request)
    except Refusal as refusal:
        return refused(refusal)


def refused(refusal: Refusal) -> Answer:
    """Turn a refusal into the answer with its envelope."""
    trace = "A" + secrets.token_urlsafe(16).replace("-", "x").replace("_", "y")
    return Answer(refusal.http_status, refusal.envelope(trace), dict(refusal.headers))


def _respond(world: World, request: Request) -> Answer:
    found = VERSION.fullmatch(request.version)
    if found is not None and int(found[1]) < OLDEST:
        raise Refusal(
            2635, f"(#2635) You are calling a deprecated version of the Ads API. Use {DEFAULT_VERSION} or later."
        )
    root = ROOTS.get("/".join(request.segments))
    if not request.segments and request.method == "POST":
        return _batch(world, request)
    given = request.parameters
    value = given.text("access_token") or request.bearer
    token = None
    if root is None or root[1]:
        me = bool(request.segments) and request.segments[0] == "me"
        token = authenticate(world, value, given.text("appsecret_proof"), given.text("appsecret_time"), about_me=me)
        world.usage.charge_app(world.now(), token.app, world.settings)
    call = Call(world, request.method, given, token, request.base_url, kinds=KINDS)
    call.path = f"/{request.version}/" + "/".join(request.segments)
    if root is not None:
        edge = root[0].get(request.method)
        if edge is None:
            raise unseen("/".join(request.segments), request.method)
        _know(edge, given)
        return Answer(200, edge.answer(call, None), _usage(call))
    if not request.segments:
        return Answer(200, _many(call), _usage(call))
    try:
        return Answer(200, _node(call, request.segments), _usage(call))
    except Refusal as refusal:
        refusal.headers = {**_usage(call), **refusal.headers}
        raise


def _usage(call: Call) -> dict[str, str]:
    """Give the usage headers of the app and of the ad account the call was about."""
    world = call.world
    headers: dict[str, str] = {}
    if not world.settings.usage_headers:
        return headers
    if call.token is not None:
        headers.update(world.usage.app_header(world.now(), call.token.app, world.settings))
    if call.charged is not None:
        tier, held = _tier(world, call.charged)
        headers.update(world.usage.headers(world.now(), call.charged.account_id, tier, held, world.settings))
    return headers


def _tier(world: World, account: AdAccount) -> tuple[str, int]:
    held = sum(1 for audience in world.audiences.values() if audience.account == account.id)
    return account.tier or world.settings.tier, held


def _many(call: Call) -> Json:
    """Answer ``GET /?ids=a,b``: each id is a call of its own."""
    names = call.parameters.names("ids")
    if not names or call.method != "GET":
        raise Refusal(2500, "Unknown path components: /")
    if len(names) > IDS_LIMIT:
        raise invalid(f"Too many IDs. Maximum: {IDS_LIMIT}.")
    return {name: _node(call, (name,)) for name in names}


def _node(call: Call, segments: tuple[str, ...]) -> Any:
    name, *rest = segments
    if len(rest) == 2 and rest[0] == "permissions":
        call.parameters.values["permission"] = rest.pop()
    if len(rest) > 1:
        raise Refusal(2500, "Unknown path components: /" + "/".join(rest)[:100])
    node = find_node(call.world, name, call.token)
    kind = KINDS.get(type(node))
    if kind is None and not name.removeprefix("act_").isdecimal():
        raise Refusal(803, f"(#803) Some of the aliases you requested do not exist: {name[:64]}", status=404)
    if node is None or kind is None or not kind.see(call, node):
        raise unseen(name, call.method)
    edge_name = rest[0] if rest else ""
    edge = kind.edges.get((call.method, edge_name))
    if edge is None:
        if call.method == "GET":
            words = f"(#100) Tried accessing nonexisting field ({edge_name[:64]}) on node type ({kind.title})"
            raise Refusal(100, words)
        raise unseen(name, call.method)
    _know(edge, call.parameters)
    _charge(call, node, kind, edge_name)
    if edge.b2b and call.app is not None and not call.app.b2b:
        raise Refusal(10)
    return _shown(call, edge.answer(call, node))


def _know(edge: Edge, given: Parameters) -> None:
    unknown = sorted(name for name in given.values if name not in COMMON and name not in edge.parameters)
    if unknown:
        raise invalid(f"Unknown parameter: {unknown[0][:64]}")


def _charge(call: Call, node: Any, kind: Kind, edge_name: str) -> None:
    world = call.world
    account = world.accounts.get(str(getattr(node, "account", None) or getattr(node, "id", "")))
    if account is None:
        return
    call.charged = account
    about_audiences = kind.bucket == "custom_audience" or edge_name in {"customaudiences", "usersofanyaudience"}
    bucket = "custom_audience" if about_audiences else "ads_management"
    tier, held = _tier(world, account)
    write = call.method != "GET"
    world.usage.charge(world.now(), account.account_id, bucket, tier, held, world.settings, write=write)


def _shown(call: Call, given: Any) -> Any:
    """Turn what an edge gave into JSON, with ``fields``, paging and read-after-write."""
    wishes = read_fields(call.parameters.text("fields"))
    if isinstance(given, Listing):
        limit = call.parameters.whole("limit", PAGE)
        if limit is None or limit < 0:
            raise invalid("Param limit must be a positive integer")
        after, before = call.parameters.text("after"), call.parameters.text("before")
        return page(call, given, wishes, limit=limit, after=after, before=before, path=call.path)
    if isinstance(given, Written):
        return {**given.answer, **render(call, given.node, wishes)} if wishes else given.answer
    if type(given) in KINDS:
        return render(call, given, wishes)
    return given


def _batch(world: World, request: Request) -> Answer:
    """Answer ``POST /``: up to 50 requests, each counted, each with its own status; faults of their edges apply."""
    given = request.parameters
    value = given.text("access_token") or request.bearer
    authenticate(world, value, given.text("appsecret_proof"), given.text("appsecret_time"))
    items = given.structure("batch")
    if not isinstance(items, list) or not items:
        raise invalid("Param batch must be a non-empty array")
    if len(items) > BATCH_LIMIT:
        raise invalid(f"Too many requests in batch message. Maximum batch size is {BATCH_LIMIT}")
    with_headers = given.flag("include_headers", default=True)
    return Answer(200, [_batched(world, request, item, with_headers=with_headers) for item in items])


def _batched(world: World, request: Request, item: Any, *, with_headers: bool) -> Json:
    try:
        answer = respond(world, _inner(request, item, world))
    except Refusal as refusal:
        answer = refused(refusal)
    shown: Json = {"code": answer.status}
    if with_headers:
        shown["headers"] = [{"name": name, "value": text} for name, text in answer.headers.items()]
    return {**shown, "body": json.dumps(answer.value, ensure_ascii=False)}


def _inner(request: Request, item: Any, world: World) -> Request:
    if not isinstance(item, dict) or set(item) - BATCH_KEYS or not isinstance(item.get("relative_url"), str):
        raise invalid("Every request of a batch needs a method and a relative_url")
    url, _, query = item["relative_url"].partition("?")
    body = item.get("body", "")
    if not isinstance(body, str) or len(body) > 1_000_000:
        raise invalid("The body of a batched request must be a string")
    method = str(item.get("method", "GET")).upper()
    if method not in METHODS:
        raise invalid("The method of a batched request must be GET, POST or DELETE")
    form = "application/x-www-form-urlencoded"
    parameters = read_parameters(query.encode("utf-8", "replace"), form, body.encode("utf-8", "replace"))
    for name in ("access_token", "appsecret_proof", "appsecret_time"):
        if name in request.parameters and name not in parameters and "access_token" not in item:
            parameters.values[name] = request.parameters.values[name]
    if isinstance(item.get("access_token"), str):
        parameters.values["access_token"] = item["access_token"]
    version, segments = split_path(url)
    inner = Request(version, segments, method_of(method, parameters), parameters, request.bearer, request.base_url)
    if not inner.segments and inner.method == "POST":
        raise invalid("A batch cannot hold a batch")
    edge = edge_of(world, inner.segments)
    world.count(edge)
    fault = world.faults.take(edge, inner.method, frozenset({"error"}))
    if fault is not None:
        raise fault.refusal()
    return inner


def etag_of(body: bytes) -> str:
    """Give the ETag of a body."""
    return '"' + hashlib.sha1(body, usedforsecurity=False).hexdigest() + '"'
