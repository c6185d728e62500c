"""A history is pickled as it is, however it came to be so, and only when it has changed."""

from __future__ import annotations

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.stored_once import StoredOnce


class Counted:
    """An entry that tells how often it was pickled."""

    def __init__(self) -> None:
        self.times = 0

    def __getstate__(self) -> dict[str, Any]:
        self.times += 1
        return {"times": 0}


@given(st.lists(st.tuples(st.sampled_from(["add", "forget oldest", "forget some", "take"]), st.integers(1, 3))))
def test_what_comes_back_is_what_was_there(steps: list[tuple[str, int]]) -> None:
    history: StoredOnce[list[int]] = StoredOnce()
    for number, (step, count) in enumerate(steps):
        if step == "add":
            history += [[number, place] for place in range(count)]
        elif step == "forget oldest":
            del history[:count]
        elif step == "forget some":
            history[:] = [entry for entry in history if entry[0] % (count + 1)]
        else:
            history = pickle.loads(pickle.dumps(history))
        assert pickle.loads(pickle.dumps(history)) == history
    assert isinstance(pickle.loads(pickle.dumps(history)), StoredOnce)


def test_entries_are_pickled_again_only_when_the_history_has_changed() -> None:
    first = Counted()
    history = StoredOnce([first])
    for _ in range(5):
        pickle.dumps(history)
    assert first.times == 1
    history.append(Counted())
    pickle.dumps(history)
    assert first.times == 2
