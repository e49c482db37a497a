"""What ``import connector`` offers: sorted, complete, explained, typed, and silent."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import connector

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

PUBLIC = {name: getattr(connector, name) for name in connector.__all__}
CALLS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}


def test_all_is_sorted_and_names_nothing_twice():
    assert connector.__all__ == sorted(set(connector.__all__))


def test_all_names_everything_that_the_module_imports_for_others():
    tree = ast.parse(Path(inspect.getfile(connector)).read_text(encoding="utf-8"))
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("connector")
        for alias in node.names
    ]
    assert sorted(imported) == connector.__all__


def test_what_the_contract_promises_is_there():
    from connector import Config, check_access, explain, export_segment, plan_segment

    assert all((Config, check_access, explain, export_segment, plan_segment))


def test_every_error_that_can_be_raised_can_be_imported():
    from connector.errors import ALL_ERRORS

    assert {one.__name__ for one in ALL_ERRORS} <= set(connector.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="exprot_segment"):
        connector.exprot_segment  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_says_what_it_is(name: str):
    said = inspect.getdoc(PUBLIC[name])
    assert said
    assert len(said) > 15
    assert not said.startswith(f"{name}(")  # what a dataclass says when nobody wrote a docstring
    assert name in dir(connector)


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_says_what_it_is(name: str):
    for word, member in vars(CLASSES[name]).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if not word.startswith("_") and inspect.isfunction(function):
            assert inspect.getdoc(function), f"{name}.{word}"
            assert_typed(function, f"{name}.{word}")


@pytest.mark.parametrize("name", CALLS)
def test_every_public_function_is_typed(name: str):
    assert_typed(CALLS[name], name)


def assert_typed(function: Callable[..., object], name: str) -> None:
    signature = inspect.signature(function)
    assert signature.return_annotation is not signature.empty, name
    for parameter in signature.parameters.values():
        assert parameter.name in {"self", "cls"} or parameter.annotation is not parameter.empty, f"{name}({parameter})"


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (files("connector") / "py.typed").is_file()


def test_importing_prints_nothing_and_explaining_needs_no_network_library():
    code = "import sys, connector; connector.explain('EMAIL', 'a@example.com'); print({'httpx', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_a_library_call_does_what_the_command_does_and_prints_nothing(
    workspace: Path, sandbox: dict[str, Any], run: Run, capfd: pytest.CaptureFixture[str]
):
    config = connector.Config.load(workspace)
    wish = connector.DestinationWish(
        "demo", sandbox["ad_account"], business=sandbox["business"], new_audience="People", accept_data_terms=True
    )
    made = connector.add_destination(config, wish)
    assert made.audience_id
    assert connector.check_access(config, "demo").allowed
    planned = connector.plan_segment(config, "people")
    report = connector.export_segment(config, "people")
    assert (planned.exit_code, report.exit_code) == (0, 0)
    assert (planned.tally.to_add, report.tally.added) == (3, 3)
    assert connector.pause_destination(config, "demo", paused=True).paused_at
    with pytest.raises(connector.GuardError, match="is paused"):
        connector.export_segment(config, "people")
    assert connector.remove_destination(config, "demo").name == "demo"
    assert capfd.readouterr() == ("", "")
