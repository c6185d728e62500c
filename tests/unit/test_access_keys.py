"""The keys of a cluster (``cortex key``), kept in a file."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cortex_serving.formats.access_keys import AccessKey, split, write

from cortex_cdk import access_keys
from cortex_cdk.access_keys import REMEMBERED_S, FileKeys
from cortex_cdk.errors import CortexError


@pytest.fixture
def store(tmp_path: Path) -> FileKeys:
    return FileKeys(tmp_path / "keys.json")


def test_what_is_kept_is_no_key(store: FileKeys, tmp_path: Path) -> None:
    made, key = access_keys.create(store, "partner", ["b", "a", "b"], 60.0)
    assert store.load() == (made,)
    assert (made.name, made.apis, made.revoked) == ("partner", ("b", "a"), None)
    assert made.expires == made.created + 60
    parts = split(key)
    assert parts is not None
    assert parts[0] == made.id
    assert parts[1] not in (tmp_path / "keys.json").read_text()
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_a_name_is_free_again_once_its_key_is_revoked(store: FileKeys) -> None:
    first, _ = access_keys.create(store, "partner")
    with pytest.raises(CortexError, match="there is a key partner already"):
        access_keys.create(store, "partner")
    assert access_keys.revoke(store, "partner").id == first.id
    with pytest.raises(CortexError, match="the key partner was revoked before"):
        access_keys.revoke(store, "partner")
    second, _ = access_keys.create(store, "partner")
    assert [(key.id, key.revoked is None) for key in store.load()] == [(first.id, False), (second.id, True)]
    assert access_keys.revoke(store, second.id).name == "partner"


def test_revoked_keys_are_forgotten_in_the_end(store: FileKeys) -> None:
    access_keys.create(store, "old")
    gone = access_keys.revoke(store, "old")
    assert gone.revoked is not None
    long_ago = gone.revoked - REMEMBERED_S - 1
    store.change(lambda keys: tuple(replace(key, revoked=long_ago) for key in keys))
    new, _ = access_keys.create(store, "new")
    assert store.load() == (new,)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", 'a"', "ä", "a\n", "x" * 65])
def test_names_that_logs_could_not_show_are_refused(store: FileKeys, name: str) -> None:
    with pytest.raises(CortexError, match="cannot be the name of a key"):
        access_keys.create(store, name)
    assert store.load() == ()


def test_there_is_a_most(store: FileKeys) -> None:
    store.change(lambda _: tuple(AccessKey(str(n), f"k{n}", "") for n in range(access_keys.MOST_KEYS)))
    with pytest.raises(CortexError, match="1000 keys already"):
        access_keys.create(store, "more")


def test_a_file_that_holds_something_else_is_left_alone(store: FileKeys, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("mine")
    with pytest.raises(CortexError, match="does not hold API keys"):
        access_keys.create(store, "partner")
    assert (tmp_path / "keys.json").read_text() == "mine"
    (tmp_path / "keys.json").write_bytes(write(()))
    with pytest.raises(CortexError, match="there is no key partner"):
        access_keys.revoke(store, "partner")
