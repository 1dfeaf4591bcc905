"""The checkout's files as the architecture tests read them: paths and syntax trees, nothing imported."""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("opsconsole", "storage")
GENERATED_AND_LOCAL = {".venv", ".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
GENERATED_AND_LOCAL |= {".import_linter_cache", ".data", "dist", "build"}
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".sh", ".json", ".cfg", ".ini", ".yml", ".yaml", ".tcss", ".svg", ""}


def name_of(path: Path) -> str:
    """The path inside the checkout, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def files_under(*folders: str) -> Iterator[Path]:
    """Every file of the project under the folders, or under the checkout, without what is generated or local."""
    for folder in folders or (".",):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not GENERATED_AND_LOCAL.intersection(path.relative_to(ROOT).parts):
                yield path


def modules_under(*folders: str) -> list[Path]:
    """Every Python module under the folders."""
    return [path for path in files_under(*folders) if path.suffix == ".py"]


@cache
def tree_of(path: Path) -> ast.Module:
    """The module's syntax tree."""
    gc.disable()  # Python 3.11 counts the depth of a tree wrongly when what is collected meanwhile parses something too
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    finally:
        gc.enable()
