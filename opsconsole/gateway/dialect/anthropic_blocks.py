"""The content blocks of one answer of Anthropic Messages, put together again from their events; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from opsconsole.gateway.dialect.interface import HELD_BYTES_MAX, CannotReask, ModelCall
from opsconsole.gateway.dialect.json_text import Unreadable, arguments_in, listed, mapping, text, written_text
from opsconsole.gateway.dialect.machine import renamed

PASSING: Final = frozenset(
    {
        "text",
        "thinking",
        "redacted_thinking",
        "server_tool_use",
        "mcp_tool_use",
        "mcp_tool_listing",
        "container_upload",
        "compaction",
        "fallback",
    }
)
"""What is no call that the client is to run: words, and what already ran at the provider."""
RAN_AT_PROVIDER: Final = "_tool_result"
"""How the types of results end that the provider adds itself."""
SIGNS_OF_A_CALL: Final = ("name", "input", "arguments", "command", "commands", "action", "caller")
"""Fields of blocks of a type that nobody knows yet; with any of them it is held as a call."""
WORDS_OF_A_CALL: Final = ("tool", "call", "use", "action", "command", "exec")
APPENDED: Final = {"text_delta": "text", "thinking_delta": "thinking"}
"""The kinds of deltas, and the field that each makes longer, in the block as in the delta; others set their fields."""
BLOCKS_MAX: Final = 4096
"""Of one answer: some of the work on them grows with the square of their number."""
CALLS_MAX: Final = 256
"""Of one answer; nobody reads more before they run."""
RECALLED_BYTES_MAX: Final = 2 * HELD_BYTES_MAX
"""Of text kept of an answer that passes; beyond it the answer still passes, and cannot be asked again."""


def is_call(block: Mapping[str, Any]) -> bool:
    """Whether the client is to run it; a type that nobody knows counts as a call when it looks like one."""
    kind = text(block.get("type"))
    if kind in PASSING or kind.endswith(RAN_AT_PROVIDER):
        return False
    looks = any(word in kind for word in WORDS_OF_A_CALL) or any(sign in block for sign in SIGNS_OF_A_CALL)
    return looks or not kind


def name_of(block: Mapping[str, Any]) -> str:
    """The name of a call's tool; its type where it has none."""
    return text(block.get("name")) or text(block.get("type")) or "unnamed"


@dataclass(slots=True)
class Block:
    """One block, as far as it has come."""

    start: Mapping[str, Any]
    appended: dict[str, list[str]] = field(default_factory=dict)
    json: list[str] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)
    done: bool = False

    @property
    def raw(self) -> str:
        """A call's arguments as the model wrote them."""
        if self.json:
            return "".join(self.json)
        begun = self.start.get("input")
        return written_text(begun) if begun else ""

    def whole(self) -> dict[str, Any]:
        """The block as a plain answer carries it."""
        block = dict(self.start)
        for key, pieces in self.appended.items():
            block[key] = "".join([text(block.get(key)), *pieces])
        if self.json:
            block["input"] = arguments_in(self.raw) or {}
        if self.citations:
            block["citations"] = [*listed(block.get("citations")), *self.citations]
        return block

    def call(self) -> ModelCall:
        """The block as a call."""
        kind = text(self.start.get("type"))
        raw = self.raw
        return ModelCall(
            id=text(self.start.get("id")),
            name=name_of(self.start),
            args=arguments_in(raw),
            raw=raw,
            kind="function" if kind == "tool_use" else kind or "unknown",
        )


class Blocks:
    """The blocks of an answer, in the order in which they began."""

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._bytes = 0
        self._called = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def begin(self, index: Any, block: Mapping[str, Any]) -> int:
        """Raises: Unreadable for an index that is none, or that comes twice."""
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise Unreadable("a block without an index")
        if index in self._blocks:
            raise Unreadable(f"two blocks at index {index}")
        self._called += is_call(block)
        if len(self._blocks) >= BLOCKS_MAX or self._called > CALLS_MAX:
            raise Unreadable("more blocks or calls than an answer can have")
        self._blocks[index] = Block(block)
        return index

    def delta(self, index: Any, delta: Mapping[str, Any]) -> None:
        """Raises: Unreadable for arguments of what is no call, and for a block that never began."""
        block = self._blocks.get(index) if isinstance(index, int) else None
        if block is None:
            raise Unreadable("a delta of a block that never began")
        kind = text(delta.get("type"))
        if kind == "input_json_delta":
            if not is_call(block.start) and "input" not in block.start:
                raise Unreadable("arguments of a block that is no call")
            self._append(block.json, text(delta.get("partial_json")))
        elif kind == "citations_delta":
            block.citations.append(delta.get("citation"))
        elif (key := APPENDED.get(kind)) is not None:
            self._append(block.appended.setdefault(key, []), text(delta.get(key)))
        elif not is_call(block.start):
            block.start = {**block.start, **{key: value for key, value in delta.items() if key != "type"}}

    def stop(self, index: Any) -> None:
        """The block is whole."""
        if isinstance(index, int) and index in self._blocks:
            self._blocks[index].done = True

    def content(self) -> list[dict[str, Any]]:
        """The blocks, whole. Raises: CannotReask, where they are more words than are kept."""
        if self._bytes > RECALLED_BYTES_MAX:
            raise CannotReask("more words than are kept")
        renamed = self.renamed()
        return [
            block.whole() | ({"id": renamed[index]} if index in renamed else {})
            for index, block in self._blocks.items()
        ]

    def calls(self) -> Iterator[tuple[int, ModelCall]]:
        """The calls, each with the index of its block, under an id of its own."""
        renamed = self.renamed()
        for index, block in self._blocks.items():
            if is_call(block.start):
                call = block.call()
                yield index, replace(call, id=renamed.get(index, call.id))

    def renamed(self) -> dict[int, str]:
        """index -> another id, where a call has none or that of an earlier one: clients could not tell them apart."""
        called = [(index, text(block.start.get("id"))) for index, block in self._blocks.items() if is_call(block.start)]
        return renamed(called, "toolu")

    def _append(self, pieces: list[str], piece: str) -> None:
        self._bytes += len(piece)
        if self._bytes <= RECALLED_BYTES_MAX:
            pieces.append(piece)


def blocks_of(content: Any) -> Blocks:
    """Those of a plain answer. Raises: Unreadable."""
    if not isinstance(content, list):
        raise Unreadable("an answer without content")
    blocks = Blocks()
    for index, block in enumerate(content):
        if not isinstance(block, dict):
            raise Unreadable("content that is no block")
        blocks.stop(blocks.begin(index, mapping(block)))
    return blocks
