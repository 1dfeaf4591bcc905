"""What stands behind the word "dead": the ranks of proof; it does not obtain any."""

from __future__ import annotations

from enum import StrEnum


class Proof(StrEnum):
    """Best first: an empty process tree was seen; the agent ended the run itself; a lease ran out; nothing."""

    PROCESS = "process"
    COOPERATIVE = "cooperative"
    LEASE = "lease"
    NONE = "none"


PROOF_RANK = {Proof.NONE: 0, Proof.LEASE: 1, Proof.COOPERATIVE: 2, Proof.PROCESS: 3}


def best(left: Proof, right: Proof) -> Proof:
    """The stronger of two proofs."""
    return left if PROOF_RANK[left] >= PROOF_RANK[right] else right
