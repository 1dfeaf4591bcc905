"""Where a key stands in a TOML text, whatever stands before it."""

from __future__ import annotations

import pytest

from opsconsole.policy.file.lines import line_of, places

TEXT = """# [defaults] in a comment
version = 1
reason = '''
[rules]
fake = 1 # no key
'''
list = [
  1, # ]
  "]",
  [2],
]
"a b".c = 1

[people] # groups
ops = ["x"]
[[rules]]
id = "a"
ask = { from = "x", timeout = "1m" }
[[rules]]
id = "b"
  [rules.ask]
  from = "x"
[tools . "x.y"]
schema = \"\"\"
a\\\"\"\" x
b
\"\"\"
end = 1"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("reason",), 3),
        (("list",), 7),
        (("a b", "c"), 12),
        (("people",), 14),
        (("people", "ops"), 15),
        (("rules", 0), 16),
        (("rules", 0, "id"), 17),
        (("rules", 0, "ask", "timeout"), 18),
        (("rules", 1, "id"), 20),
        (("rules", 1, "ask"), 21),
        (("rules", 1, "ask", "from"), 22),
        (("tools", "x.y"), 23),
        (("tools", "x.y", "end"), 28),
        (("fake",), None),
        (("defaults",), None),
    ],
    ids=str,
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(places(TEXT), path) == line


def test_a_key_inside_an_inline_table_is_where_the_table_is() -> None:
    assert line_of(places("\na = { b = { c = 1 } }"), ("a", "b", "c")) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "= 1", "[", "[[", "a", 'a = "', "a = '''", "]\n[x]", "a . . b = 1", "\0"])
def test_a_text_that_is_no_toml_ends_the_search(text: str) -> None:
    assert line_of(places(text), ("x", "y")) is None
