"""Tracebacks are the user's: frames of this program tell nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex_serving.errors import ServingError
from cortex_serving.logs.traceback_text import traceback_text
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


def raised_by(code: str, file: Path) -> BaseException:
    """What a file of the user's raises."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    with pytest.raises(BaseException) as caught:
        exec(compile(code, str(file), "exec"), {})
    return caught.value


def in_log(error: BaseException, project: Path) -> str:
    """What a replica logs of an error of ``logger.exception``, in its working folder."""
    return traceback_text(type(error), error, error.__traceback__)


WAYS: list[Callable[[BaseException, Path], str]] = [user_traceback, in_log]


@pytest.mark.parametrize("words", WAYS)
def test_files_of_the_project_have_the_names_that_users_know(
    words: Callable[[BaseException, Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = raised_by("text = 'x'\nint(text)  # here\n", tmp_path / "source" / "words.py")
    found = words(error, tmp_path)
    assert '  File "source/words.py", line 2, in <module>\n    int(text)  # here\n' in found
    assert str(tmp_path) not in found


@pytest.mark.parametrize("words", WAYS)
def test_a_cause_has_them_too(
    words: Callable[[BaseException, Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "try:\n    int('x')\nexcept ValueError as error:\n    raise KeyError('y') from error\n"
    found = words(raised_by(code, tmp_path / "predictor.py"), tmp_path)
    assert found.count('  File "predictor.py", line ') == 2
    assert str(tmp_path) not in found


def test_the_file_of_a_syntax_error_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text("def f(:\n")
    with pytest.raises(SyntaxError) as caught:
        compile("def f(:\n", str(tmp_path / "predictor.py"), "exec")
    assert user_traceback(caught.value, tmp_path).startswith('  File "predictor.py", line 1\n    def f(:')


def test_packages_have_the_names_that_are_imported(tmp_path: Path) -> None:
    installed = tmp_path / "images" / "a1b2" / "lib" / "site-packages" / "toolz" / "core.py"
    error = raised_by("1 / 0\n", installed)
    assert '  File "site-packages/toolz/core.py", line 1, in <module>' in user_traceback(error, tmp_path / "project")


def test_the_project_of_whoever_works_beside_their_environment(tmp_path: Path) -> None:
    installed = tmp_path / ".venv" / "lib" / "site-packages" / "toolz" / "core.py"
    assert '  File "site-packages/toolz/core.py", line 1' in user_traceback(raised_by("1 / 0\n", installed), tmp_path)


def test_a_record_without_an_error_is_written_as_logging_does() -> None:
    assert traceback_text(*sys.exc_info()) == "NoneType: None"
