"""What is added is used: no module is left out of the table of its kind, and no page names what is not there."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from opsconsole.cli.program import COMMANDS
from opsconsole.console.action import EVERYWHERE
from tests.architecture.sources import PRODUCT, ROOT, modules_under, tree_of

PAGES = ("README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md")
FOR_PEOPLES_CODE = {"opsconsole.sdk", "opsconsole.sdk.sync", "opsconsole.sdk.drain"}
"""What nobody here need import."""
NOT_YET = {"opsconsole/adapters/", "tests/adapters/"}
"""Places that a page gives to what nobody has added so far."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the product, by its dotted name."""
    found = {}
    for folder in PRODUCT:
        root = ROOT if folder == "opsconsole" else ROOT / folder
        for path in modules_under(folder):
            found[".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def named_in(name: str) -> Iterator[str]:
    """The modules that a module imports, or names in a text to load or to run them, and the package around it."""
    yield name.rpartition(".")[0]
    for node in ast.walk(tree_of(modules()[name])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (node.value, f"{name}.{node.value}")


def is_program(path: Path) -> bool:
    """Whether `python -m` runs it."""
    tests = [ast.unparse(node.test) for node in tree_of(path).body if isinstance(node, ast.If)]
    return path.name == "__main__.py" or "__name__ == '__main__'" in tests


def roots() -> set[str]:
    """Where Python begins: the programs and plugins of the package, the commands, what is run with `-m`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = [project["scripts"], *project.get("entry-points", {}).values()]
    begun = {target.partition(":")[0] for table in points for target in table.values()}
    begun |= {f"opsconsole.cli.{target.partition(':')[0]}" for target, _ in COMMANDS.values()}
    begun |= {name for name, path in modules().items() if is_program(path)}
    return begun | FOR_PEOPLES_CODE


def test_every_module_is_reached_from_where_the_programs_begin() -> None:
    reached: set[str] = set()
    waiting = roots()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= (set(named_in(name)) & set(modules())) - reached
    assert sorted(set(modules()) - reached) == [], "in no table, and imported by nobody"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_what_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    places = set(re.findall(r"`((?:opsconsole|storage|tests|bench|docs|tools)/[\w./-]*)`", text))
    assert [place for place in sorted(places - NOT_YET) if not (ROOT / place).exists()] == []


def test_every_view_of_the_console_has_its_panel() -> None:
    fields = [
        node
        for path in modules_under("opsconsole/console/panels")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "view" and path.stem != "panel"
    ]
    assert sorted(ast.literal_eval(field.value) for field in fields if field.value) == sorted(EVERYWHERE)
