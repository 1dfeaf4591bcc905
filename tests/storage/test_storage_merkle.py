"""The tree against the published vectors of RFC 6962's reference implementation, and every proof of small trees."""

from hashlib import sha256

import pytest

from opsconsole_storage.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_holds,
    consistency_path,
    inclusion_holds,
    inclusion_path,
    leaf_hash,
    root_of,
)

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZE = 40
HASHES = [leaf_hash(b"%d" % number) for number in range(SIZE)]


def range_hash(start: int, end: int) -> bytes:
    return root_of(HASHES[start:end])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    assert root_of(leaf_hash(leaf) for leaf in LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, SIZE + 1))
def test_every_leaf_is_proven_and_no_other_place_is(size: int) -> None:
    root = range_hash(0, size)
    for index in range(size):
        path = inclusion_path(index, size, range_hash)
        holding = [other for other in range(size) if inclusion_holds(other, size, HASHES[index], path, root)]
        assert holding == [index]


@pytest.mark.parametrize("size", range(1, SIZE + 1))
def test_every_earlier_tree_is_proven(size: int) -> None:
    for old in range(size + 1):
        path = consistency_path(old, size, range_hash)
        assert consistency_holds(old, size, range_hash(0, old), range_hash(0, size), path)


@pytest.mark.parametrize("size", [2, 3, 8, 13, 40])
def test_a_changed_earlier_tree_is_not_proven(size: int) -> None:
    other = sha256(b"other").digest()
    for old in range(size):
        path = consistency_path(old, size, range_hash)
        assert not consistency_holds(old, size, other, range_hash(0, size), path)
        assert not consistency_holds(old, size, range_hash(0, old), other, path) or old == 0


@pytest.mark.parametrize("size", [2, 7, 8, 40])
def test_a_cut_or_changed_path_proves_nothing(size: int) -> None:
    root = range_hash(0, size)
    for index in range(size):
        path = inclusion_path(index, size, range_hash)
        for position in range(len(path)):
            changed = [*path[:position], HASHES[0][::-1], *path[position + 1 :]]
            assert not inclusion_holds(index, size, HASHES[index], changed, root)
        assert not inclusion_holds(index, size, HASHES[index], path[:-1], root)
        assert not inclusion_holds(index, size, HASHES[index], [*path, root], root)


def test_a_frontier_tells_the_tile_that_a_leaf_completed() -> None:
    frontier = Frontier()
    tiles = [frontier.append(leaf, 8) for leaf in HASHES]
    assert [tile for tile in tiles if tile] == [range_hash(start, start + 8) for start in range(0, SIZE, 8)]


def test_a_frontier_of_tiles_is_that_of_their_leaves() -> None:
    frontier = Frontier()
    for start in range(0, SIZE, 8):
        frontier.append_subtree(range_hash(start, start + 8), 8)
    assert frontier.root() == range_hash(0, SIZE)


def test_a_tile_must_start_where_one_can() -> None:
    frontier = Frontier()
    frontier.append(HASHES[0])
    with pytest.raises(ValueError, match="can't start at 1"):
        frontier.append_subtree(HASHES[1], 8)


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="leaf 3"):
        inclusion_path(3, 3, range_hash)
    with pytest.raises(ValueError, match="no earlier size 4"):
        consistency_path(4, 3, range_hash)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_a_path_proves_nothing_of_a_tree_of_half_or_twice_the_size(size: int) -> None:
    root = range_hash(0, size)
    for old in range(1, size):
        path = consistency_path(old, size, range_hash)
        assert [consistency_holds(old, other, range_hash(0, old), root, path) for other in (size // 2, size * 2)] == [
            False,
            False,
        ]
        path = inclusion_path(old, size, range_hash)
        assert not inclusion_holds(old, size // 2, HASHES[old], path, root)
        assert not inclusion_holds(old, size * 2, HASHES[old], path, root)


def test_what_no_tree_has_is_proven_by_no_path_and_never_a_crash() -> None:
    root = range_hash(0, 8)
    for old, size in ((3, 8), (7, 8), (9, 8), (-1, 8), (-8, -1), (8, -8)):
        assert [consistency_holds(old, size, root, root, path) for path in ([], [root], [root] * 3)] == [False] * 3
    for index, size in ((8, 8), (-1, 8), (0, 0), (0, -1)):
        assert not inclusion_holds(index, size, root, [], root)


def test_a_path_where_none_is_needed_proves_nothing() -> None:
    root = range_hash(0, 8)
    assert consistency_holds(8, 8, root, root, [])
    assert not consistency_holds(8, 8, root, root, [root])
    assert consistency_holds(0, 8, EMPTY_ROOT, root, [])
    assert not consistency_holds(0, 8, EMPTY_ROOT, root, [root])
