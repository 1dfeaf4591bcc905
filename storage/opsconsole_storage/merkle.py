"""The Merkle tree of RFC 6962 and RFC 9162 as pure functions over hashes; it reads no file and signs nothing."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

RangeHash = Callable[[int, int], bytes]
"""Root of the leaves numbered start (inclusive) to end (exclusive), counted from 0."""


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962 2.1: the hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The perfect subtrees that cover the first `size` leaves, largest first; enough to append and to tell the root."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)

    def copy(self) -> "Frontier":
        return Frontier(self.size, self._peaks)

    def append(self, leaf: bytes, tile_width: int = 0) -> bytes | None:
        """Add the hash of one leaf; the root of the `tile_width` leaves that it completed, if it completed them."""
        return self._add(leaf, 1, tile_width)

    def append_subtree(self, root: bytes, width: int) -> None:
        """Add the root of `width` leaves at once; `width` is a power of two and `size` a multiple of it."""
        if self.size % width:
            raise ValueError(f"a subtree of {width} leaves can't start at {self.size}")
        self._add(root, width)

    def _add(self, root: bytes, width: int, tile_width: int = 0) -> bytes | None:
        tile, merges = None, self.size // width
        self.size += width
        while merges & 1:
            root = node_hash(self._peaks.pop(), root)
            merges >>= 1
            width <<= 1
            if width == tile_width:
                tile = root
        self._peaks.append(root)
        return tile

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def split(width: int) -> int:
    """The largest power of two smaller than `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion_path(index: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """RFC 6962 2.1.1: the audit path of the leaf `index` (from 0) in a tree of `size` leaves.

    Raises: ValueError when there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(old_size: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """RFC 6962 2.1.2: the proof that the tree of `size` leaves starts with the tree of `old_size` leaves.

    Raises: ValueError when `old_size` is not between 0 and `size`.
    """
    if not 0 <= old_size <= size:
        raise ValueError(f"a tree of {size} has no earlier size {old_size}")
    if old_size in (0, size):
        return []
    start, end, whole, path = 0, size, True, []
    while old_size != end:
        middle = start + split(end - start)
        if old_size <= middle:
            path.append(range_hash(middle, end))
            end = middle
        else:
            path.append(range_hash(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(range_hash(start, end))
    path.reverse()
    return path


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """RFC 9162 2.1.3.2: the root that `path` proves for a leaf hash, None when the path can't be one."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        node >>= 1
        last >>= 1
    return root if last == 0 else None


def inclusion_holds(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that leaf hash `leaf` is number `index` (from 0) of the `size` leaves under `root`."""
    return root_from_inclusion(index, size, leaf, path) == root


def consistency_holds(old_size: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2: whether `path` proves that the tree under `root` starts with the tree under `old_root`."""
    if old_size == size:
        return not path and old_root == root
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    if not 0 < old_size < size:
        return False
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == root
