"""The import contracts of pyproject.toml hold; what each says stands there."""

import subprocess
import sys
from pathlib import Path

CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_the_layers_hold(root: Path) -> None:
    result = subprocess.run([sys.executable, "-c", CHECK], cwd=root, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
