"""Workers that know of each other by files alone: who is alive, and who does what."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from bigcell.core.errors import PlanError, SettingsError
from bigcell.engine.runtime import leases
from bigcell.engine.runtime.leases import FOLDER, LEASE, Claims, Membership, Share, members, refuse_beside_workers


@contextmanager
def joined(work: Path, index: int = 0, of: int = 3) -> Iterator[Membership]:
    member = Membership.join(work, Share(index, of))
    try:
        yield member
    finally:
        member.leave()


def file_of(member: Membership) -> Path:
    return member.work / FOLDER / "workers" / f"{member.name}.json"


def silence(member: Membership, seconds: float) -> None:
    """As if the worker had not been heard of for so long."""
    then = file_of(member).stat().st_mtime - seconds
    os.utime(file_of(member), (then, then))


def elsewhere(member: Membership) -> None:
    """As if the worker were on another machine, where its process cannot be looked for."""
    about = json.loads(file_of(member).read_text())
    about["process"] = {"machine": "another", "pid": 1, "started": 0.0}
    file_of(member).write_text(json.dumps(about))


@pytest.mark.parametrize(("index", "of"), [(3, 3), (-1, 3), (0, 0), (1, 1)])
def test_shares_count_from_0(index: int, of: int) -> None:
    with pytest.raises(SettingsError, match=r"wanted 0 to|at least 1"):
        Share(index, of)


def test_a_claim_is_one_workers(tmp_path: Path) -> None:
    with joined(tmp_path, 0) as one, joined(tmp_path, 1) as other:
        first, second = Claims(one, "follow_flows"), Claims(other, "follow_flows")
        assert first.take("7")
        assert not second.take("7")
        assert first.take("7"), "and stays its own"
        assert second.take("8")
        assert Claims(other, "find_sinks").take("7"), "stages have claims of their own"


def test_of_many_that_try_at_once_one_has_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        everyone = [stack.enter_context(joined(tmp_path, i, 8)) for i in range(8)]
        taken: list[tuple[str, str]] = []

        def take_all(member: Membership) -> None:
            own = Claims(member, "follow_flows")
            taken.extend((str(k), member.name) for k in range(50) if own.take(str(k)))

        threads = [Thread(target=take_all, args=(member,)) for member in everyone]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(int(k) for k, _ in taken) == list(range(50))


def test_the_claims_of_one_who_ended_are_free_at_once(tmp_path: Path) -> None:
    with joined(tmp_path, 0) as one:
        assert Claims(one, "follow_flows").take("7")
    with joined(tmp_path, 1) as other, joined(tmp_path, 2) as third:
        own = Claims(other, "follow_flows")
        assert own.take("7")
        assert own.take("8")
        assert [own.is_inherited(name) for name in ("7", "8")] == [True, False]
        assert not Claims(third, "follow_flows").take("7"), "but again only one has it"


def test_one_elsewhere_is_believed_for_the_time_of_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_LOOKS", 0.0)
    with joined(tmp_path, 0) as lost, joined(tmp_path, 1) as other:
        assert Claims(lost, "follow_flows").take("7")
        elsewhere(lost)
        own = Claims(other, "follow_flows")
        silence(lost, LEASE - 20)
        assert not own.take("7")
        silence(lost, LEASE + 20)
        assert own.take("7")
        assert [m.alive for m in members(tmp_path)] == [False, True]


def test_the_clock_is_set_back(tmp_path: Path) -> None:
    """One elsewhere that died before is not believed until the clock is where it was; one at work touches its file."""
    with joined(tmp_path) as lost:
        assert Claims(lost, "follow_flows").take("7")
        elsewhere(lost)
        silence(lost, -86400)
        assert [m.alive for m in members(tmp_path)] == [False]
        refuse_beside_workers(tmp_path, "it cannot be resumed")
        silence(lost, 86400 - 5)
        assert [m.alive for m in members(tmp_path)] == [True]


def test_a_claim_whose_writer_died_before_its_name_was_in_it(tmp_path: Path) -> None:
    with joined(tmp_path) as one:
        own = Claims(one, "follow_flows")
        assert own.take("6")
        torn = tmp_path / FOLDER / "claims" / "follow_flows" / "7.0"
        torn.touch()
        assert not own.take("7"), "its writer may be about to write"
        then = torn.stat().st_mtime - LEASE - 20
        os.utime(torn, (then, then))
        assert own.take("7")


def test_a_worker_is_heard_of_while_it_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat is another process: nothing that this one does can stop it."""
    monkeypatch.setattr(leases, "BEAT", 0.05)
    with joined(tmp_path) as one:
        before = file_of(one).stat().st_mtime_ns
        until = time.monotonic() + 120
        while file_of(one).stat().st_mtime_ns == before:
            assert time.monotonic() < until, "no beat"
            time.sleep(0.02)
        one.check()


def test_a_worker_that_slept_for_longer_than_its_lease_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.05)
    monkeypatch.setattr(leases, "LEASE", 0.01)  # every beat comes too late
    with joined(tmp_path) as one:
        assert one._beater is not None
        one._beater.wait(20)
        with pytest.raises(PlanError, match="silent for more than"):
            one.check()


def test_a_worker_whose_run_is_gone_ends(tmp_path: Path) -> None:
    with joined(tmp_path / "work") as one:
        (tmp_path / "work").rename(tmp_path / "gone")
        with pytest.raises(PlanError, match="no longer there"):
            one.check()
        with pytest.raises(FileNotFoundError):
            Claims(one, "follow_flows").take("7")
        assert not (tmp_path / "work").exists(), "and makes no folder for it"


def test_workers_agree_on_how_many_they_are(tmp_path: Path) -> None:
    with joined(tmp_path, 0, of=3), pytest.raises(SettingsError, match="--of 4: workers that say --of 3 are at work"):
        Membership.join(tmp_path, Share(0, 4))
    with joined(tmp_path, 0, of=4):  # the others have ended
        assert [(m.of, m.ended) for m in members(tmp_path)] in ([(3, True), (4, False)], [(4, False), (3, True)])


def test_nothing_else_is_done_beside_workers(tmp_path: Path) -> None:
    refuse_beside_workers(tmp_path, "no")
    with (
        joined(tmp_path, 1),
        joined(tmp_path, 2),
        pytest.raises(PlanError, match=r"2 of 3 workers of an array are at work .*so it cannot be resumed"),
    ):
        refuse_beside_workers(tmp_path, "it cannot be resumed")
    refuse_beside_workers(tmp_path, "no")


def test_files_that_are_no_workers_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / "workers"
    folder.mkdir(parents=True)
    for number, text in enumerate(("", "[]", "{}", '{"index": "x", "of": 1, "process": {}, "ended": false}', "\xff")):
        (folder / f"{number}.json").write_text(text, encoding="latin-1")
    assert members(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_who_may_only_read_sees_the_workers_too(tmp_path: Path) -> None:
    with joined(tmp_path) as one:
        folder = file_of(one).parent
        folder.chmod(0o500)
        try:
            assert [m.alive for m in members(tmp_path)] == [True]
        finally:
            folder.chmod(0o700)
