"""Progress: plain lines at every tenth where there is no terminal, on stderr only."""

import pickle

import pytest

from flows.progress import Reporter


def test_plain_lines_at_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        reporter.start("photos", 200)
        for _ in range(200):
            reporter.advance("photos")
        reporter.say("done")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [f"photos: {n}/200" for n in range(20, 201, 20)] + ["done"]


def test_another_process_gets_a_silent_one(capsys: pytest.CaptureFixture[str]) -> None:
    pickle.loads(pickle.dumps(Reporter())).say("from elsewhere")
    assert capsys.readouterr() == ("", "")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(quiet=True) as reporter:
        reporter.start("photos", 1)
        reporter.advance("photos")
        reporter.say("done")
    assert capsys.readouterr() == ("", "")
