"""The dialects that the gateway speaks, by their names; which request is in which one is the routes' affair."""

from __future__ import annotations

from collections.abc import Mapping

from opsconsole.gateway.dialect.anthropic import AnthropicMessages
from opsconsole.gateway.dialect.chat import Chat
from opsconsole.gateway.dialect.interface import Dialect
from opsconsole.gateway.dialect.responses import Responses

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (Chat(), Responses(), AnthropicMessages())}
"""Name -> dialect; each is without state and serves every request."""
