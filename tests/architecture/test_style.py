"""The house rules that a linter does not know: size, docstrings, broad handlers, and what no file may hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PRODUCT, TEXT_SUFFIXES, files_under, modules_under, name_of, tree_of

MODULE_LINES_MAX = 450
"""A module longer than this holds a second one."""

FUNCTION_LINES_MAX = 60
"""A function longer than this is read twice."""

BROAD_HANDLERS_ALLOWED: dict[str, str] = {
    "opsconsole/scenario/driving.py": "an agent's thread ends here; what it raised is told by who waits",
    "opsconsole/hub/desk/gate.py": "a policy that fails refuses: it must neither let a call through nor stop the hub",
    "opsconsole/hub/upkeep.py": "one failed round of a periodic task must not end the upkeep",
    "opsconsole/sdk/bounded.py": "a foreign object's repr may raise anything, after its call has succeeded",
    "opsconsole/sdk/link.py": "whatever breaks a connection, the next must be tried: a kill must find its way",
    "opsconsole/sdk/run.py": "a tool's thread ends here; what it raised is handed to the agent's loop",
    "opsconsole/supervisor/climb.py": "whatever a cooperative stop raises is no consent",
    "storage/opsconsole_storage/group_writer.py": "the writer thread's edge: a defect fails its group, not the store",
}
"""Path -> why a task ends there, the only place where an unknown error may be caught."""

# Put together from halves, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE = re.compile("/ro" + r"ot/|/wo" + r"rk/|/opt/(?:pypi|wheels)")
INDEX_HOST = re.compile(r"(?:files\.)?pythonho" + r"sted|pypi\.(?:org|python)|index-u" + r"rl|find-li" + "nks")
CLOCKS_TAKEN = {"now", "utcnow", "today"}

MODULES = [pytest.param(path, id=name_of(path)) for path in modules_under(*PRODUCT)]
EVERY_MODULE = [pytest.param(path, id=name_of(path)) for path in modules_under(*PRODUCT, "tests", "bench")]
PURE_MODULES = [
    pytest.param(path, id=name_of(path))
    for path in modules_under(
        "opsconsole/domain",
        "opsconsole/policy",
        "opsconsole/protocol",
        "opsconsole/gateway/dialect",
        "opsconsole/gateway/flow",
        "opsconsole/hub/desk",
        "opsconsole/console/view",
    )
]


def functions_in(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def is_passed_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler only tidies up: it ends by raising what it caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name_of(path)}:{number}"
        for path in files_under()
        if path.suffix in TEXT_SUFFIXES
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("path", EVERY_MODULE)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    docstring = (ast.get_docstring(tree_of(path)) or "").split("\n\n")[0]
    assert docstring, "no docstring"
    assert docstring.endswith("."), "the docstring's first paragraph is not a sentence"
    assert not re.search(r"[a-z)`]\. +[A-Z]", docstring), "more than one sentence"


@pytest.mark.parametrize("path", MODULES)
def test_a_module_stays_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", MODULES)
def test_a_function_stays_short(path: Path) -> None:
    lengths = {f"{f.name}:{f.lineno}": (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions_in(path)}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}


def test_an_unknown_error_is_caught_only_where_a_task_ends() -> None:
    broad = {
        name_of(path)
        for path in modules_under(*PRODUCT)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node) and not is_passed_on(node)
    }
    assert broad == set(BROAD_HANDLERS_ALLOWED)


@pytest.mark.parametrize("path", PURE_MODULES)
def test_pure_code_is_given_the_time(path: Path) -> None:
    taken = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS_TAKEN
        if ast.unparse(node.func.value).split(".")[-1] in {"datetime", "date"}
    ]
    assert taken == []


def test_nothing_is_left_for_later() -> None:
    assert lines_matching(UNFINISHED) == []


def test_no_file_names_a_machine() -> None:
    assert lines_matching(MACHINE) == []


def test_no_file_names_a_package_index() -> None:
    assert lines_matching(INDEX_HOST) == []
