"""docs/behaviours.md from the manifest and the tests that cite it: `python -m tests.spec.document` writes it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.spec.manifest import BEHAVIOURS, ELSEWHERE

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DOCUMENT = ROOT / "docs" / "behaviours.md"
HEAD = """# Behaviours

What a person can see opsconsole do, each with the test that proves it. Tests in `tests/spec` use real processes and
real sockets: a hub, the command line, agents under `opsconsole run`. This page is generated:
`python -m tests.spec.document` writes it from `tests/spec/manifest.py`.
"""


def citations(path: Path) -> dict[str, tuple[str, ...]]:
    """Each test of a module, with the behaviours that it cites."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = tuple(name for one in node.decorator_list for name in _cited(one))
    return found


def _cited(decorator: ast.expr) -> list[str]:
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "proves"):
        return []
    return [str(argument.value) for argument in decorator.args if isinstance(argument, ast.Constant)]


def proofs() -> dict[str, list[str]]:
    """behaviour -> the tests that prove it, those of this folder first."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        for test, behaviours in citations(path).items():
            for behaviour in behaviours:
                found[behaviour].append(f"tests/spec/{path.name}::{test}")
    for behaviour, tests in ELSEWHERE.items():
        found[behaviour] += tests
    return found


def document() -> str:
    """The page."""
    found = proofs()
    parts = [HEAD]
    for group, behaviours in BEHAVIOURS.items():
        parts.append(f"\n## {group}\n\n")
        for name, sentence in behaviours.items():
            parts.append(f"* {sentence}\n" + "".join(f"  `{test}`\n" for test in found[name]))
    return "".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
