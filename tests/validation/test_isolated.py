from pathlib import Path

import pytest

from keras_imp.validation.isolated import Answer, Call, call_isolated

pytestmark = pytest.mark.one_backend

TARGET = "tests.validation.faults:misbehave"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def ask(*deeds, workers=1, seconds=20.0):
    calls = [Call(Path(f"{i}.png"), {"do": do}) for i, do in enumerate(deeds)]
    return list(call_isolated(TARGET, calls, workers, seconds))


def test_one_process_answers_all_calls_in_order():
    first, second = ask("", "")
    assert first.value == second.value
    assert not first.fault


def test_a_crash_is_told_and_the_next_file_is_read():
    before, crashed, after = ask("", "crash", "")
    assert crashed == Answer(None, "crash", "SIGSEGV")
    assert isinstance(after.value, int)
    assert after.value != before.value


def test_a_call_that_never_ends_is_ended():
    crashed, after = ask("hang", "", seconds=1.0)
    assert crashed == Answer(None, "hang", "more than 1 s")
    assert isinstance(after.value, int)


def test_an_exception_is_told_and_the_process_stays():
    before, raised, after = ask("", "raise", "")
    assert raised == Answer(None, "crash", "KeyError: '1.png'")
    assert after.value == before.value


def test_what_a_library_prints_is_no_answer():
    printed, after = ask("print", "")
    assert printed.value == after.value


def test_bytes_reach_the_process_as_they_are():
    content = bytes(range(256)) * 1000 + b"\n"
    call = Call(content, {"do": "bytes"})
    assert [a.value for a in call_isolated(TARGET, [call], 1)] == [256_001]


def test_answers_of_several_processes_keep_their_order():
    answers = ask(*["", "raise"] * 20, workers=2)
    assert [a.fault for a in answers] == ["", "crash"] * 20


def test_calls_with_one_key_are_answered_once():
    calls = [Call(Path("a.png"), {"do": "raise"}, "a")] * 3
    first, *others = call_isolated(TARGET, calls, 1)
    assert all(answer is first for answer in others)


def test_a_process_that_cannot_start_says_how_to_see_why():
    with pytest.raises(RuntimeError, match=r"cannot start\. Received: c"):
        list(call_isolated("tests.no_module:none", [Call(Path("a"), {})], 1))


def test_the_number_of_processes_must_be_one_at_least():
    with pytest.raises(ValueError, match="`workers` must be an integer"):
        next(call_isolated(TARGET, [], 0))
