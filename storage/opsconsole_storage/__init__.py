"""The durable record: bytes in total order, provably unchanged, that knows nothing of agents."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opsconsole_storage.contract import Batch, Bus, Entry, Events, Log, Store, StoredBatch
from opsconsole_storage.errors import (
    CannotOpen,
    Closed,
    Conflict,
    DiskFailed,
    DiskFull,
    Locked,
    NewerSchema,
    NoOwner,
    Overloaded,
    ReadOnly,
    StorageError,
    Tampered,
    Unknown,
)

if TYPE_CHECKING:
    from opsconsole_storage.memory import MemoryStore as MemoryStore
    from opsconsole_storage.sqlite_store import SqliteStore as SqliteStore

_LAZY = {
    "ConsistencyProof": "proofs",
    "InclusionProof": "proofs",
    "MemoryStore": "memory",
    "SqliteStore": "sqlite_store",
    "VerifyReport": "verify",
    "consistency_proof": "verify",
    "inclusion_proof": "verify",
    "read_entries": "verify",
    "reseal": "resealing",
    "retain_audit": "retention",
    "write_csv": "export",
    "write_json_lines": "export",
}

__all__ = [
    "Batch",
    "Bus",
    "CannotOpen",
    "Closed",
    "Conflict",
    "DiskFailed",
    "DiskFull",
    "Entry",
    "Events",
    "Locked",
    "Log",
    "NewerSchema",
    "NoOwner",
    "Overloaded",
    "ReadOnly",
    "StorageError",
    "Store",
    "StoredBatch",
    "Tampered",
    "Unknown",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
