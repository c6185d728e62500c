"""Tracebacks are the user's: frames of this program tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex_serving.errors import ServingError
from cortex_serving.predictors.predictor import user_traceback
from cortex_serving.predictors.types import predictor_type


def cause() -> BaseException:
    """An error that was raised in this program, and called by no code of the user's."""
    with pytest.raises(ServingError) as caught:
        predictor_type("none")
    return caught.value


@pytest.mark.parametrize("chained", ["raise ValueError('told') from cause", "raise ValueError('told')"])
def test_what_led_to_an_error_is_told_without_our_frames(chained: str, tmp_path: Path) -> None:
    code = f"try:\n    raise cause\nexcept Exception:\n    {chained}\n"
    with pytest.raises(ValueError, match="told") as caught:
        exec(compile(code, str(tmp_path / "predictor.py"), "exec"), {"cause": cause()})
    found = user_traceback(caught.value, tmp_path)
    assert "predictor.type is 'none'" in found
    assert "cortex_serving/" not in found


def test_a_cause_in_which_the_users_code_had_no_part(tmp_path: Path) -> None:
    error = ValueError("told")
    error.__cause__ = cause()
    found = user_traceback(error, tmp_path)
    assert "predictor.type is 'none'" in found
    assert "cortex_serving/" not in found
