from __future__ import annotations

import pytest
import torch

from bigcell.core.errors import ModelError, SettingsError
from bigcell.flows import runner as runners
from bigcell.flows.runner import Runner, choose_precision, largest_batch, settle_precision, trial_tile
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.registry import Model, load_model
from bigcell.networks.sam_vit import CellposeSAM, SamSizes

CPU = torch.device("cpu")


def double(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x, x], 1) * 2


class Small:
    """A device whose memory holds `room` tiles."""

    def __init__(self, room: int) -> None:
        self.room, self.calls = room, list[int]()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return double(x)


def test_batches_are_halved_until_they_fit() -> None:
    network = Small(3)
    runner = Runner(network, CPU)
    tiles = torch.randn(16, 1, 16, 16)
    assert torch.equal(runner(tiles), double(tiles))
    assert network.calls == [16, 8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    runner(tiles[:4])
    assert network.calls[11:] == [2, 2]  # what was learned stays
    assert len(runner.notes) == 3
    assert "going on with 2" in runner.notes[-1]


def test_a_tile_that_does_not_fit_is_said_to_be_too_large() -> None:
    with pytest.raises(ModelError, match=r"single tile .* does not fit .*--tile"):
        Runner(Small(0), CPU)(torch.zeros(2, 1, 16, 16))


def test_no_tensor_may_pass_two_to_the_31() -> None:
    network = load_model("nuclei").network
    assert largest_batch(network, (100_000, 2, 224, 224)) * 224 * 224 * max(network.nbase[:2]) < 2**31
    assert largest_batch(network, (1, 2, 32768, 32768)) == 1


def test_batches_are_split_where_a_tensor_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST", 5 * 64 * 16 * 16)
    network = Small(99)
    tiles = torch.randn(12, 1, 16, 16)
    assert torch.equal(Runner(network, CPU)(tiles), double(tiles))
    assert network.calls == [5, 5, 2]


class Counting(torch.nn.Module):
    """Remembers how many tiles came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(x))
        return double(x)


def test_a_cpu_takes_tile_by_tile() -> None:
    network = Counting()
    tiles = torch.randn(3, 1, 16, 16)
    assert torch.equal(Runner(network, CPU)(tiles), double(tiles))
    assert network.calls == [1, 1, 1]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["CPnet", "SAM", "DINO"])
def test_the_number_of_threads_does_not_change_a_bit(kind: str, precision: str) -> None:
    """Sums that are shared out among threads would: so a tile is one thread's."""
    torch.manual_seed(1)
    network: torch.nn.Module = CPnet((2, 16, 32, 64))
    if kind == "SAM":
        network = CellposeSAM(SamSizes(grid=8, width=64, heads=4, hidden=128, neck=16, spans=(15, 15)))
    if kind == "DINO":
        network = CellposeDINO(DinoSizes(width=64, heads=4, hidden=128, blocks=2))
    for parameter in network.parameters():
        parameter.requires_grad_(False).normal_(0, 0.05)
    x = torch.randn(5, network.channels, 64, 64)
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            runner = Runner(network.eval(), CPU, precision)  # type: ignore[arg-type]
            kept = torch.get_num_threads()
            made.append(runner(x))
            assert torch.get_num_threads() == kept  # ours do not become everybody's
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, made[0]) for one in made)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_network_that_gives_nonsense_is_stopped(wrong: float) -> None:
    with pytest.raises(ModelError, match="NaN or infinity"):
        Runner(lambda x: double(x) * wrong, CPU)(torch.ones(1, 1, 16, 16))


def test_the_default_model_in_both_arithmetics() -> None:
    network = load_model("nuclei").network
    tile = trial_tile(2, 64, 64)
    with torch.inference_mode():
        want = network(tile)
    exact, rough = Runner(network, CPU), Runner(network, CPU, "bfloat16")
    torch.testing.assert_close(exact(tile), want, rtol=1e-4, atol=1e-4)
    assert float((rough(tile) - want).norm() / want.norm()) < runners.BOUND
    assert exact.difference is None
    assert 0 < rough.difference < runners.BOUND


class Touchy(torch.nn.Module):
    """The difference of large numbers: bfloat16 does not have the digits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 3, 1)
        torch.nn.init.constant_(self.conv.weight, 1.0)
        torch.nn.init.constant_(self.conv.bias, 4096.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).float() - 4096.0


def test_bfloat16_that_strays_is_refused_loudly() -> None:
    with pytest.raises(ModelError, match=r"off float32 on a trial tile.*--precision float32"):
        Runner(Touchy(), CPU, "bfloat16")(torch.ones(1, 1, 32, 32))


def test_auto_takes_float32_where_bfloat16_strays_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(runners, "choose_device", lambda asked="auto": CPU)
    touchy = Model("touchy", Touchy(), 30.0, 1, "")
    precision, notes = settle_precision("auto", touchy, 32)
    assert precision == "float32"
    assert "float32 instead of bfloat16" in notes[0]
    assert settle_precision("bfloat16", touchy, 32) == ("bfloat16", ())
    good, notes = settle_precision("auto", load_model("nuclei"), 32)
    assert good == "bfloat16"
    assert "off float32" in notes[0]


def test_the_trial_on_a_device_leaves_the_model_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "choose_device", lambda asked="auto": torch.device("meta"))  # a device without values
    monkeypatch.setattr(runners, "choose_precision", lambda asked, device: "bfloat16")
    model = load_model("nuclei")
    with pytest.raises((RuntimeError, NotImplementedError)):
        settle_precision("auto", model, 32)
    assert {p.device.type for p in model.network.parameters()} == {"cpu"}


def test_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    for has in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has=has: has)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        assert choose_precision("auto", CPU) == ("bfloat16" if has else "float32")
    assert choose_precision("auto", torch.device("mps")) == "float32"
    assert choose_precision("bfloat16", torch.device("mps")) == "bfloat16"
    with pytest.raises(SettingsError, match="'auto'"):
        choose_precision("half", CPU)  # type: ignore[arg-type]


@pytest.mark.gpu
def test_on_a_gpu_as_on_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = load_model("nuclei").network
    tiles = torch.randn(5, 2, 64, 64)
    want = Runner(network, CPU)(tiles)
    torch.testing.assert_close(Runner(network, torch.device("cuda"), batch=2)(tiles), want, rtol=1e-2, atol=1e-2)
