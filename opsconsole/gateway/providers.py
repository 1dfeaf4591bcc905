"""The providers whose APIs the gateway speaks: where each is unless a setting says otherwise, how its key is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One maker of models."""

    name: str
    base: str
    """What its official client calls its base URL; requests go to this and the path behind the client's own base."""
    base_path: str
    """What the client's base URL ends with, behind the gateway's own part of the path."""
    key_header: str
    key_prefix: str
    dialect: str
    """The dialect that errors are written in where no endpoint says."""
    url_variables: tuple[str, ...]
    """The variables by which its clients are told where it is."""
    key_variable: str
    url_setting: str


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        name="openai",
        base="https://api.openai.com/v1",
        base_path="/v1",
        key_header="authorization",
        key_prefix="Bearer ",
        dialect="openai.chat",
        url_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        key_variable="OPENAI_API_KEY",
        url_setting="gateway.openai_url",
    ),
    "anthropic": Provider(
        name="anthropic",
        base="https://api.anthropic.com",
        base_path="",
        key_header="x-api-key",
        key_prefix="",
        dialect="anthropic.messages",
        url_variables=("ANTHROPIC_BASE_URL",),
        key_variable="ANTHROPIC_API_KEY",
        url_setting="gateway.anthropic_url",
    ),
}
