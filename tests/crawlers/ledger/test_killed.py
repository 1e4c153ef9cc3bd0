from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import crawlers
from crawlers.importers.tar_file import TarMember, read_members
from crawlers.ledger.rows import ClaimState
from crawlers.ledger.view import LedgerView
from facedata.location import read_bytes

SCRIPT = Path(__file__).with_name("crawl_until_killed.py")
REPOSITORY = Path(crawlers.__file__).parents[1]
KILLS = 6


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


def crawl_and_kill(folder: Path, after: int, wait_s: float) -> list[str]:
    """Kill a crawl some time after so many URLs; return those it had said to be recorded."""
    said = []
    with start(folder) as child:
        assert child.stdout is not None
        while len(said) < after and (line := child.stdout.readline()):
            said.append(line)
        time.sleep(wait_s)
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    return [line.strip() for line in said if line.endswith("\n")]


def check_tars(folder: Path) -> set[str]:
    """Return the names of all members; each is whole, and of the digest it is named after."""
    names: list[str] = []
    for path in sorted((folder / "raw").iterdir()):
        with path.open("rb") as stream:
            for member in read_members(stream, path.stat().st_size):
                assert isinstance(member, TarMember)
                stream.seek(member.offset)
                digest = hashlib.sha256(stream.read(member.size)).hexdigest()
                assert member.name == f"{digest}.jpg"
                names.append(member.name)
    assert len(names) == len(set(names))
    return set(names)


def test_killed_crawls_lose_nothing_and_ask_for_nothing_again(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    with start(calm) as child:
        assert child.stdout is not None
        asked_calmly = child.stdout.read().split()
    assert child.returncode == 0
    assert len(asked_calmly) == len(set(asked_calmly)) > 500

    chance = random.Random(5)
    recorded: set[str] = set()
    for _ in range(KILLS):
        said = crawl_and_kill(killed, chance.randrange(120), chance.uniform(0, 0.02))
        assert not recorded & set(said)
        recorded |= set(said)
        with LedgerView.read(killed) as view:
            accounts = list(view.accounts())
            settled = {one.url for one in accounts if one.state is not ClaimState.PENDING}
            assert recorded <= settled
            # Recorded, and killed before it could say so.
            recorded |= settled
            stored = list(view.stored())
            assert {hashlib.sha256(read_bytes(one.location)).hexdigest() for one in stored} == {
                one.sha256 for one in accounts if one.sha256 is not None
            }
    with start(killed) as child:
        assert child.stdout is not None
        rest = child.stdout.read().split()
    assert child.returncode == 0
    assert not recorded & set(rest)
    assert recorded | set(rest) == set(asked_calmly)
    assert check_tars(killed) == check_tars(calm)
    with LedgerView.read(calm) as first, LedgerView.read(killed) as second:
        assert set(first.accounts()) == set(second.accounts())
        assert first.counts() == second.counts()
