"""Fuzz target: any text gets its shell facts, and what is said to only read has no reason against it."""

from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.shell import MAKER
from tests.policy.facts.shell_commands import LEAVES, READ_ONLY, UNCLEAR, WORKSPACE, WRITES

SEEDS = [text.encode("utf-8", "surrogatepass") for text in (*READ_ONLY, *WRITES, *LEAVES, *UNCLEAR)]
NEVER_PLAIN = frozenset("\x00\x1b\x07\r")
_shell = MAKER({"arg": "command", "workspace": WORKSPACE})


def fuzz_one(data: bytes) -> None:
    """Raise when the fact raises or contradicts itself."""
    text = data.decode("utf-8", "surrogateescape")
    said = _shell({"command": text}, NO_HISTORY)
    assert set(said) == set(_shell.fields)
    against = said["writes"] or said["destructive"] or said["leaves_workspace"] or said["network"] or said["unclear"]
    assert said["read_only"] is (not against)
    assert bool(said["why"]) is bool(against)
    assert not said["read_only"] or NEVER_PLAIN.isdisjoint(text)
