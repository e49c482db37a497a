"""The text of the reference pages, made from the code: commands, fields, errors, variables, JSON shapes.

Pages call these functions between cog's markers. Meanings, which no code holds, stand in ``meanings.yaml``; a name without
one, or one without a name, is an error here. Nothing depends on the machine, the terminal or the time.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel

from connector import config, errors
from connector.access.checklist import CHECKS
from connector.access.data_terms import DATA_TERMS
from connector.audiences import graph_errors
from connector.cli.add import DestinationModel
from connector.cli.main import app
from connector.profiles.mapping import AttributeModel, KeysModel, MappingModel
from connector.profiles.match_keys import MATCH_KEYS
from docs.session import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pydantic.fields import FieldInfo

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "connector"
ERROR_CLASSES = {one.__name__: one for one in errors.ALL_ERRORS}
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        config.WorkspaceModel,
        config.SourceModel,
        config.SegmentModel,
        config.TableModel,
        config.SuppressModel,
        config.GuardsModel,
        MappingModel,
        AttributeModel,
        DestinationModel,
    )
}
EXITS = {
    0: ("done", "go on"),
    1: ("a bug", "call us"),
    2: ("usage, configuration, mapping", "fix a file"),
    3: ("the profiles could not be read", "look at the source"),
    4: ("this token may not do this here", "ask the person the message names"),
    5: ("Meta refuses and will refuse again", "read the message"),
    6: ("try later; nothing is lost, the next run goes on from here", "retry"),
    7: ("finished, but more than `guards.max_invalid` was not accepted", "read the report"),
    8: ("stopped on purpose before anything was sent: a guard, a pause, not confirmed", "read `error.code`"),
    130: ("interrupted; the next run goes on from here", "retry"),
}


def _table(heads: Collection[str], rows: Collection[Collection[str]]) -> str:
    lines = [" | ".join(heads), "|".join("---" for _ in heads)]
    lines += [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" if i != 1 else f"|{line}|" for i, line in enumerate(lines))


@cache
def _all_meanings() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCS / "meanings.yaml").read_text(encoding="utf-8")))


def _meanings(section: str, names: Collection[str], *, within: str = "") -> dict[str, str]:
    """Give the meanings of exactly these names; what is missing or too much is named."""
    known: dict[str, str] = _all_meanings()[section][within] if within else _all_meanings()[section]
    missing, left = sorted(set(names) - set(known)), sorted(set(known) - set(names))
    if missing or left:
        at = f"docs/meanings.yaml, {section} {within}".strip()
        raise LookupError(f"{at}: no meaning for {missing or 'nothing'}; not in the code: {left or 'nothing'}")
    return known


# commands


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Give every command of the command line: its words, the command, and a context of it."""

    def under(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
        context = command.make_context(name, [], parent=parent, resilient_parsing=True)
        nested = getattr(command, "commands", None)
        if nested is None:
            yield context.command_path, command, context
        for word, child in (nested or {}).items():
            yield from under(child, word, context)

    yield from under(typer.main.get_command(app), "connector", None)


def cli() -> str:
    """Write the reference of the command line: usage, what it does, arguments and options, an example."""
    parts = []
    for path, command, context in commands():
        usage = " ".join(command.collect_usage_pieces(context))
        rows = [
            (f"`{name.strip()}`", _sentence(meaning))
            for name, meaning in (p.get_help_record(context) for p in command.get_params(context))
            if not name.endswith("--help")
        ]
        example = (command.epilog or "").removeprefix("Example: ")
        parts += [
            f"## {path}",
            re.sub(r"(?<=\S)\n(?=\S)", " ", (command.help or "").strip()),
            f"```\n{path} {usage}\n```",
            _table(("", ""), rows),
            f"```sh\n{example}\n```",
        ]
    return "\n\n".join(parts)


def _sentence(help_record: str) -> str:
    """Put what typer appends in brackets into words a table can hold."""
    return re.sub(r"\s+", " ", help_record).strip()


# files


def fields(name: str) -> str:
    """Write the table of one model's fields: YAML name, type, default, meaning."""
    model = MODELS[name]
    known = {field.alias or python: field for python, field in model.model_fields.items()}
    meanings = _meanings("fields", known, within=name)
    rows = [(f"`{word}`", _kind(f.annotation, f), _default(f), meanings[word]) for word, f in known.items()]
    return _table(("field", "type", "default", "meaning"), rows)


def match_key_fields() -> str:
    """List what may stand under ``keys:``, with Meta's codes."""
    known = {field.alias for field in KeysModel.model_fields.values()}
    rows = [
        (f"`{k.name}`", ", ".join(f"`{c}`" for c in k.wire), "SHA-256" if k.hashed else "as it is")
        for k in MATCH_KEYS
        if k.name in known
    ]
    return _table(("match key", "Meta's code", "leaves"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in (None, (), {}, ""):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(annotation: Any, field: FieldInfo | None = None) -> str:  # noqa: PLR0911  one line a shape
    """Say a type in a reader's words."""
    if field is not None and (special := _restricted(field.metadata)):
        return special
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{_heading(annotation.__name__)}](#{_heading(annotation.__name__)})"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _restricted(annotation.__metadata__) or _kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin is dict:
        return f"names, each with {_kind(arguments[1])}"
    if origin is tuple:
        return f"a list of {_kind(arguments[0])}"
    if arguments:
        kinds = dict.fromkeys(_kind(one) for one in arguments if one is not type(None))
        return " or ".join(kinds)
    return {"str": "text", "int": "whole number", "float": "number", "bool": "`true` or `false`"}[annotation.__name__]


def _restricted(metadata: Collection[Any]) -> str | None:
    """Say what validators and bounds allow, where they say more than the type."""
    by_validator = {
        "_environment_name": "the name of a variable",
        "_known_zone": "a time zone, such as `Europe/Paris`",
        "_cron": "five cron fields",
        "read_duration": "a time span, such as `60d`",
        "_as_tuple": "a word or a list of words",
    }
    bounds = {}
    for one in metadata:
        validator = getattr(one, "func", None)
        if validator is not None:
            return by_validator[validator.__name__]
        bounds |= {name: getattr(one, name) for name in ("ge", "le", "max_length", "pattern") if hasattr(one, name)}
    if "pattern" in bounds:
        return {r"^v\d+\.\d+$": "text such as `v25.0`", "^[A-Za-z]{2}$": "two letters"}[bounds["pattern"]]
    if bounds.get("max_length") == 1:
        return "one character"
    if {"ge", "le"} <= set(bounds):
        return f"a number from {bounds['ge']} to {bounds['le']}"
    return f"a whole number from {bounds['ge']}" if "ge" in bounds else None


def _heading(model: str) -> str:
    return "keys" if model == KeysModel.__name__ else model.removesuffix("Model").lower()


# errors


def exits() -> str:
    """Write the table of exit codes with the class a library call raises."""
    classes = {one.exit_code: name for name, one in ERROR_CLASSES.items()}
    rows = [
        (f"**{code}**", meaning, todo, f"`{classes[code]}`" if code in classes else "")
        for code, (meaning, todo) in EXITS.items()
    ]
    return _table(("exit", "meaning", "a scheduler should", "a library call raises"), rows)


@cache
def error_words() -> dict[str, set[int]]:
    """Collect every ``error.code`` the source can give, with its exit codes; access and graph rows not included."""
    found: dict[str, set[int]] = {one.default_code: {one.exit_code} for one in ERROR_CLASSES.values()}
    for path in sorted(SOURCE.rglob("*.py")):
        if "sandbox" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, name in _coded(tree):
            for word in _constants(node):
                exit_code = ERROR_CLASSES[name].exit_code if name in ERROR_CLASSES else _by_prefix(word)
                found.setdefault(word, set()).add(exit_code)
    return found


def _coded(tree: ast.AST) -> Iterator[tuple[ast.expr, str | None]]:
    """Give each expression that becomes an error's code, with the class it is handed to where that can be seen."""
    takers = dict(_takers(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            named = node.func.id if isinstance(node.func, ast.Name) else None
            yield from ((k.value, named) for k in node.keywords if k.arg == "code")
            if named in takers and len(node.args) > takers[named][0]:
                yield node.args[takers[named][0]], takers[named][1]
        elif isinstance(node, ast.FunctionDef):
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            yield from ((d, None) for a, d in pairs if a.arg == "code" and d is not None)
        elif isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from [(node.value, None)] if any(map(_names_code, targets)) else []


def _takers(tree: ast.AST) -> Iterator[tuple[str, tuple[int, str]]]:
    """Name the functions that take a code by position, with its place and the class they raise."""
    for node in ast.walk(tree):
        names = [a.arg for a in node.args.args] if isinstance(node, ast.FunctionDef) else []
        if "code" in names:
            made = [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
            yield from ((node.name, (names.index("code"), one)) for one in made if one in ERROR_CLASSES)


def _names_code(target: ast.expr) -> bool:
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    return any(isinstance(name, ast.Name) and name.id == "code" for name in names)


def _constants(node: ast.expr) -> list[str]:
    words = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [word for word in words if re.fullmatch(r"[a-z][a-z0-9]*\.[a-z_]+|usage", word)]


def _by_prefix(word: str) -> int:
    return errors.SourceError.exit_code if word.startswith("source.") else errors.ConfigError.exit_code


def words() -> str:
    """Write the table of our own error codes, every one with exit code and meaning."""
    known = {word: exits for word, exits in error_words().items() if word not in graph_words()}
    meanings = _meanings("errors", known)
    rows = [
        (f"`{word}`", ", ".join(map(str, sorted(known[word]))), meanings[word])
        for word in sorted(known, key=lambda w: (w.partition(".")[0], w))
    ]
    return _table(("`error.code`", "exit", "meaning"), rows)


def access_words() -> str:
    """List the codes of a gate that refuses: one per check."""
    return _table(
        ("`error.code`", "what was asked", "what was wanted"),
        [(f"`access.{row.id}`", row.asks, ", ".join(f"`{wish}`" for wish in row.wanted)) for row in CHECKS],
    )


def graph_words() -> set[str]:
    """Name the codes of Meta's refusals and the network's failures."""
    return {row.word for row in _graph_rows()}


def _graph_rows() -> list[graph_errors.Rule]:
    rows = [*graph_errors.RULES, *(v for v in vars(graph_errors).values() if isinstance(v, graph_errors.Rule))]
    return list(dict.fromkeys(rows))


def graph_table() -> str:
    """Write Meta's refusals: code, subcode, our word, exit, meaning, what to do, whether it is tried again."""
    again = {"no": "no", "yes": "yes", "delayed": "after the wait Meta names", "later": "by the next run"}
    rows = [
        (
            _numbers(row), f"`{row.word}`", str(row.error.exit_code), f"{row.says}. {row.hint}",
            f"up to {row.times} times" if row.retry == "yes" else again[row.retry],
        )
        for row in _graph_rows()
    ]  # fmt: skip
    return _table(("Meta's code / subcode", "`error.code`", "exit", "meaning, and what to do", "tried again"), rows)


def _numbers(row: graph_errors.Rule) -> str:
    codes = "any" if row.codes is None else _ranges(row.codes)
    subcodes = "" if row.subcodes is None else " / " + _ranges(row.subcodes)
    return (codes + subcodes) if row.codes or row.subcodes else "–"


def _ranges(numbers: Collection[int]) -> str:
    if isinstance(numbers, range) and numbers.start < 0:
        return "below 0"
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}–{b}" if b > a else str(a) for a, b in runs)


# environment


def variables() -> set[str]:
    """Collect every CONNECTOR_… variable that the source reads or offers."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if "sandbox" not in path.parts)
    return set(re.findall(r"""["'](CONNECTOR_[A-Z_]+)["']""", text))


def environment() -> str:
    """Write the table of our variables, then of those of others that matter."""
    rows = [(f"`{name}`", meaning) for name, meaning in sorted(_meanings("environment", variables()).items())]
    foreign = [(f"`{name}`", meaning) for name, meaning in _all_meanings()["foreign"].items()]
    return _table(("variable", "meaning"), rows) + "\n\nOf others:\n\n" + _table(("variable", "meaning"), foreign)


# what is printed


def demo_report() -> str:
    """Run the demo on the samples and give the report it ends with."""
    with Session(DOCS.parent) as session:
        said = session.run("connector demo")
    report = said[said.index("loyal_customers →") : said.index("Next:")]
    return f"```text\n{report.strip()}\n```"


def data_terms() -> str:
    """Quote the data terms."""
    return DATA_TERMS.strip()


def envelope(line: str) -> str:
    """Run one command in the workspace that ``init`` makes and give its envelope, indented."""
    with Session() as session:
        session.run("connector init .")
        return f"```json\n{session.envelope(line)}\n```"


def report() -> str:
    """Export what ``init`` makes to the sandbox and give the envelope with the run report, indented."""
    with Session() as session:
        session.run("connector init .")
        session.connect()
        session.run(
            f"connector add destination demo --ad-account {session.sandbox['ad_account']}"
            f" --business {session.sandbox['business']} --new-audience 'Loyal customers' --accept-data-terms"
        )
        return f"```json\n{session.envelope('connector export segment loyal_customers --json')}\n```"
