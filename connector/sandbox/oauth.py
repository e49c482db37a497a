"""Logging in and looking at oneself: the consent dialog, codes and tokens, ``debug_token`` and ``me``.

Owns everything of the specification's §4. Pages are plain HTML forms without script.
"""

from __future__ import annotations

import hmac
import html
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from connector.sandbox.call import Call, Json, Listing
from connector.sandbox.refusals import Refusal, invalid, missing, unseen
from connector.sandbox.rules import need_scope, sees_account, tasks_on
from connector.sandbox.tokens import find_token, inspect_token, proves, trouble_with
from connector.sandbox.world import DAY, Token

if TYPE_CHECKING:
    from connector.sandbox.parameters import Parameters
    from connector.sandbox.world import App, User, World

SCOPES = frozenset(
    [
        "public_profile",
        "email",
        "ads_management",
        "ads_read",
        "business_management",
        "pages_show_list",
        "pages_read_engagement",
        "pages_manage_ads",
        "leads_retrieval",
        "instagram_basic",
        "catalog_management",
        "read_insights",
    ]
)
SHORT = 2 * 3600
LONG = 60 * DAY
CODE_LIFETIME = 600
COMMA_OR_SPACE = str.maketrans(",", " ")


def _app(world: World, given: Parameters, *, with_secret: bool) -> App:
    app = world.apps.get(given.needed("client_id"))
    if app is None:
        raise Refusal(
            101, "Error validating application. Cannot get application info due to a system error.", status=400
        )
    if with_secret and not hmac.compare_digest(given.needed("client_secret").encode(), app.secret.encode()):
        raise Refusal(1, "Error validating client secret.", status=400, is_transient=False)
    return app


# --- the dialog ------------------------------------------------------------------------------------------------------


def dialog_page(world: World, given: Parameters) -> str:
    """Write the consent page.

    Raises:
        Refusal: for an unknown app, a redirect address that is none, an unknown scope or response type.
    """
    app = _app(world, given, with_secret=False)
    _redirect(given)
    kept = {
        name: given.text(name)
        for name in ("client_id", "redirect_uri", "state", "response_type", "scope", "auth_type", "config_id")
        if given.text(name)
    }
    fields = "\n".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in kept.items()
    )
    wanted = _scopes(given)
    boxes = "\n".join(
        f'<li><label><input type="checkbox" name="granted" value="{scope}" checked> {scope}</label></li>'
        for scope in wanted
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in with the sandbox</title>
<body><main><h1>{html.escape(app.name)} asks for access</h1>
<p>This is the sandbox's stand-in for Meta's login dialog. Nobody is logged in anywhere.</p>
<form method="post" action="oauth">
{fields}
<ul>{boxes}</ul>
<button type="submit" name="answer" value="accept" id="accept">Continue</button>
<button type="submit" name="answer" value="decline" id="decline">Cancel</button>
</form></main></body></html>"""


def dialog_answer(world: World, given: Parameters) -> str:
    """Turn accept or decline into the address the browser is sent back to."""
    app = _app(world, given, with_secret=False)
    target = _redirect(given)
    state = {"state": given.text("state")} if given.text("state") else {}
    if given.text("answer") != "accept":
        refused = {
            "error_reason": "user_denied",
            "error": "access_denied",
            "error_description": "Permissions error",
        }
        return _with_query(target, {**refused, **state})
    asked = _scopes(given)
    chosen = given.values.get("granted")
    granted = chosen if isinstance(chosen, list) else [chosen] if isinstance(chosen, str) else []
    code = "AQ" + secrets.token_urlsafe(24)
    world.codes[code] = {
        "app": app.id,
        "redirect_uri": given.text("redirect_uri"),
        "scopes": {
            scope: "granted" if scope in granted or scope == "public_profile" else "declined" for scope in asked
        },
        "expires": world.now() + CODE_LIFETIME,
        "user": world.description["user"],
    }
    answer = {"code": code, **state}
    if "granted_scopes" in given.text("response_type"):
        scopes = world.codes[code]["scopes"]
        answer["granted_scopes"] = ",".join(scope for scope, status in scopes.items() if status == "granted")
        answer["denied_scopes"] = ",".join(scope for scope, status in scopes.items() if status == "declined")
    return _with_query(target, answer)


def _redirect(given: Parameters) -> str:
    target = given.needed("redirect_uri")
    try:
        parts = urlsplit(target)
    except ValueError:
        parts = urlsplit("")
    printable = target.isascii() and target.isprintable() and " " not in target
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.fragment or not printable:
        raise Refusal(191, "Can't load URL: the redirect_uri must be an absolute address", status=400)
    kind = given.text("response_type") or "code"
    if "code" not in kind.translate(COMMA_OR_SPACE).split():
        raise invalid("Param response_type must hold code")
    return target


def _with_query(target: str, answer: dict[str, str]) -> str:
    parts = urlsplit(target)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *answer.items()])
    return urlunsplit(parts._replace(query=query))


def _scopes(given: Parameters) -> list[str]:
    scopes = given.text("scope").translate(COMMA_OR_SPACE).split()
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise invalid("Invalid Scopes: the dialog does not know one of the scopes")
    return list(dict.fromkeys(["public_profile", *scopes]))


# --- tokens ----------------------------------------------------------------------------------------------------------


def give_token(call: Call, _node: Any = None) -> Json:
    """Answer ``oauth/access_token``: a code, a token to be exchanged for a long-lived one, or the app's own credentials."""
    given, world = call.parameters, call.world
    app = _app(world, given, with_secret=True)
    grant = given.text("grant_type")
    if grant == "client_credentials":
        return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}
    if grant == "fb_exchange_token":
        return _exchange(world, app, given)
    if grant not in {"", "authorization_code"}:
        raise invalid("Param grant_type must be one of {authorization_code, client_credentials, fb_exchange_token}")
    return _redeem(world, app, given)


def _redeem(world: World, app: App, given: Parameters) -> Json:
    code = world.codes.pop(given.needed("code"), None)
    if code is None:
        raise Refusal(100, "This authorization code has been used.")
    if code["app"] != app.id or code["expires"] < world.now():
        raise Refusal(100, "This authorization code has expired.")
    if code["redirect_uri"] != given.text("redirect_uri"):
        words = (
            "Error validating verification code. Please make sure your redirect_uri is identical to the one you used"
        )
        raise Refusal(100, words + " in the OAuth dialog request")
    token = _new_token(world, app.id, code["user"], code["scopes"], SHORT)
    return {"access_token": token.value, "token_type": "bearer", "expires_in": SHORT}


def _exchange(world: World, app: App, given: Parameters) -> Json:
    old = find_token(world, given.needed("fb_exchange_token"))
    if old is None or old.app != app.id:
        raise Refusal(190)
    subcode = trouble_with(world, old)
    if subcode is not None:
        raise Refusal(190, subcode=subcode)
    token = _new_token(world, app.id, old.user, dict(old.scopes), LONG)
    token.kind, token.granular = old.kind, dict(old.granular)
    return {"access_token": token.value, "token_type": "bearer", "expires_in": LONG}


def _new_token(world: World, app: str, user: str | None, scopes: dict[str, str], lifetime: int) -> Token:
    now = int(world.now())
    token = Token("EAAsandbox" + secrets.token_hex(24), app, user, scopes=scopes, issued_at=now)
    token.expires_at = now + lifetime if lifetime else 0
    token.data_access_expires_at = now + 90 * DAY
    world.tokens[token.value] = token
    return token


def debug_token(call: Call, _node: Any = None) -> Json:
    """Answer ``debug_token``: asked with the app's token, or by the token about itself."""
    value = call.parameters.needed("input_token")
    found = find_token(call.world, value)
    if found is None:
        words = "Invalid OAuth access token - Cannot parse access token"
        return {"data": {"error": {"code": 190, "message": words}, "is_valid": False, "scopes": []}}
    asking = call.token
    if asking is None or found.app != asking.app:
        raise Refusal(100, "(#100) The App_id in the input_token did not match the Viewing App")
    if asking.kind != "APP" and found.user != asking.user:
        raise Refusal(
            100, "(#100) You must provide an app access token, or a user access token that is an owner of the app"
        )
    return {"data": inspect_token(call.world, found)}


# --- me --------------------------------------------------------------------------------------------------------------


def list_permissions(call: Call, user: User) -> Listing:
    """Answer ``me/permissions``."""
    _only_oneself(call, user)
    scopes = call.token.scopes if call.token else {}
    only = call.parameters.text("permission")
    status = call.parameters.text("status")
    return Listing(
        [
            {"permission": scope, "status": state}
            for scope, state in scopes.items()
            if (not only or scope == only) and (not status or state == status)
        ]
    )


def drop_permissions(call: Call, user: User) -> Json:
    """Answer ``DELETE me/permissions``: take back one permission, or all of them and with them the token."""
    _only_oneself(call, user)
    token = call.token
    if token is None:
        raise unseen(user.id, call.method)
    one = call.parameters.text("permission")
    if one and one not in token.scopes:
        raise invalid("Param permission must be a permission of this app")
    alike = [other for other in call.world.tokens.values() if other.user == user.id and other.app == token.app]
    for other in alike:
        if not one:
            other.broken = 458
        elif one in other.scopes:
            other.scopes[one] = "declined"
    return {"success": True}


def _only_oneself(call: Call, user: User) -> None:
    if call.user is not user:
        raise unseen(user.id, call.method)


def my_ad_accounts(call: Call, user: User) -> Listing:
    """Answer ``me/adaccounts``: every account the person can see."""
    _only_oneself(call, user)
    need_scope(call, "ads_read", "ads_management")
    token = call.token
    targets = token.granular.get("ads_management") if token is not None and token.grants("ads_management") else None
    seen = [account for account in call.world.accounts.values() if sees_account(call, account)]
    if targets is not None:
        seen = [a for a in seen if a.account_id in targets or (a.business or "") in targets]
    return Listing(seen, total=len(seen))


def assigned_ad_accounts(call: Call, user: User) -> Listing:
    """Answer ``<user>/assigned_ad_accounts``: the accounts this person or system user has tasks on."""
    need_scope(call, "ads_read", "ads_management")
    found = [
        account for account in call.world.accounts.values() if tasks_on(user, account) and sees_account(call, account)
    ]
    return Listing(found, total=len(found))


def my_businesses(call: Call, user: User) -> Listing:
    """Answer ``me/businesses``."""
    _only_oneself(call, user)
    need_scope(call, "business_management")
    return Listing([call.world.businesses[name] for name in user.roles], total=len(user.roles))


def my_pages(call: Call, user: User) -> Listing:
    """Answer ``me/accounts``: the Pages of the person's businesses, with their tokens."""
    _only_oneself(call, user)
    return Listing([a for a in call.world.assets.values() if a.kind == "page" and a.business in user.roles])


def install_app(call: Call, user: User) -> Json:
    """Answer ``POST <system user>/applications``."""
    app = call.world.apps.get(call.parameters.needed("business_app"))
    if app is None or user.kind != "SYSTEM_USER":
        raise invalid("Param business_app must be an app of the system user's business")
    app.installed_on.add(user.id)
    return {"success": True}


def give_system_token(call: Call, user: User) -> Json:
    """Answer ``POST <system user>/access_tokens``: needs the app installed and a secret proof."""
    given = call.parameters
    app = call.world.apps.get(given.needed("business_app"))
    if app is None or user.kind != "SYSTEM_USER" or user.id not in app.installed_on:
        raise invalid("The app must be installed on a system user first")
    if call.token is None or not proves(
        app, call.token.value, given.text("appsecret_proof"), given.text("appsecret_time"), call.world.now()
    ):
        raise missing("appsecret_proof")
    caller = call.user
    if caller is None or not any(caller.roles.get(name) == "ADMIN" for name in user.roles):
        raise Refusal(200)
    return give_token_of(call, user, app)


def give_token_of(call: Call, user: User, app: App) -> Json:
    """Make a system user's token: never ending, or of 60 days when asked."""
    scopes = _scopes(call.parameters)
    lifetime = LONG if call.parameters.flag("set_token_expires_in_60_days") else 0
    token = _new_token(call.world, app.id, user.id, dict.fromkeys(scopes, "granted"), lifetime)
    token.kind = "SYSTEM_USER"
    return {"access_token": token.value}
