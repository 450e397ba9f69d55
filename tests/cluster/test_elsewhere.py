"""Schedulers that somebody else started: addresses that are none, certificates, and what is told without them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

from bigcell.cluster.certificates import Certificates
from bigcell.cluster.choose import check_cluster, choose_executor
from bigcell.core.errors import SettingsError


@pytest.mark.parametrize(
    "address",
    [
        "tcp://",
        "tcp://host",
        "tcp://host:port",
        "tcp://host:99999",
        "ucx://host:1",
        "tls://a b:1",
        "tcp://u:secret@h:1",
    ],
)
def test_what_is_no_address_is_said_before_any_work(address: str) -> None:
    with pytest.raises(SettingsError, match="no scheduler's address: wanted tcp://host:port") as refused:
        check_cluster(address)
    assert "secret" not in str(refused.value)


def certificates(made: Certificates) -> dict[str, Any]:
    """Dask's settings of somebody who has these certificates."""
    ca, cert, key = map(str, made.files)
    prefix = "distributed.comm.tls."
    return {f"{prefix}ca-file": ca, f"{prefix}client.cert": cert, f"{prefix}client.key": key}


def test_certificates_that_are_missing_or_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"asks for a certificate: set distributed\.comm\.tls\.ca-file"):
        check_cluster("tls://127.0.0.1:9")
    made = Certificates.make(tmp_path)
    with dask.config.set(certificates(made)):
        check_cluster("tls://127.0.0.1:9")
        made.files[1].write_text("no certificate")
        with pytest.raises(SettingsError, match="certificates of dask's settings cannot be used"):
            check_cluster("tls://127.0.0.1:9")
        made.remove()
        with pytest.raises(SettingsError, match="certificates of dask's settings cannot be used"):
            check_cluster("tls://127.0.0.1:9")


def test_a_scheduler_with_certificates_is_used_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Certificates.make(tmp_path)
    here: dict[str, Any] = {"n_workers": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(security=made.security, **here) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        with dask.config.set(certificates(made)), closing(choose_executor(cluster.scheduler_address, 1)) as executor:
            assert list(executor.map(abs, [-2])) == [2]
    assert "certificate" not in caplog.text


def test_one_without_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    here: dict[str, Any] = {"n_workers": 0, "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**here) as cluster:
        choose_executor(cluster.scheduler_address, 1).close()
    assert "asks for no certificate: whoever reaches it or its workers can run code" in caplog.text
