"""Runner: a network on a device, in the arithmetic that was planned, with batches that fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bigcell.core.errors import ModelError, SettingsError
from bigcell.flows.fused import fuse
from bigcell.flows.settings import Choice, Precision

TRIAL = 128
"""Side of the trial tile, in pixels."""
LARGEST = 2**31 - 1
"""Elements of a tensor beyond which kernels count wrongly."""
BOUND = 0.05
"""How far bfloat16 may be from float32 on the trial tile, root mean square over that of float32's flows and logits."""


def choose_device(asked: str = "auto") -> torch.device:
    """`asked`, or the best that is here: CUDA, then Apple's Metal, then the CPU."""
    if asked != "auto":
        return torch.device(asked)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_precision(asked: Choice, device: torch.device) -> Precision:
    """`asked`, or for "auto" bfloat16 where `device` computes in it: CUDA since Ampere, CPUs with AMX or AVX512-BF16.

    Elsewhere bfloat16 would only be imitated, more slowly than float32.
    """
    if asked not in ("auto", "float32", "bfloat16"):
        raise SettingsError(f"precision {asked!r}: wanted 'auto', 'float32' or 'bfloat16'")
    if asked != "auto":
        return asked
    if device.type == "cuda":
        has = torch.cuda.get_device_capability(device)[0] >= 8
    else:
        has = device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return "bfloat16" if has else "float32"


def settle_precision(asked: Choice, model: Any, side: int) -> tuple[Precision, tuple[str, ...]]:
    """The precision that a run of `model` on tiles of `side` pixels is to have, and what the user should know of it.

    For "auto" bfloat16 is tried on the trial tile; where it strays beyond `BOUND`, float32 is taken and the note says
    so.
    """
    device = choose_device()
    precision = choose_precision(asked, device)
    if asked != "auto" or precision == "float32":
        return precision, ()
    network = model.network if device.type == "cpu" else deepcopy(model.network)  # the caller's stays where it is
    runner = Runner(network, device=device, precision="bfloat16")
    try:
        runner(trial_tile(model.channels, side, side))
    except ModelError as error:
        return "float32", (f"float32 instead of bfloat16: {error}",)
    return "bfloat16", (f"the network runs in bfloat16, {runner.difference:.1%} off float32 on a trial tile",)


@dataclass
class Runner:
    """Calls `network` with tiles, float32 (n, channels, h, w) on the CPU, and gives float32 (n, 3, h, w) there.

    In bfloat16 the first call compares the network on one trial tile, always the same, with float32: `difference` holds
    what came out, and beyond `BOUND` it raises ModelError. Where CUDA's memory does not suffice the batch is halved,
    from then on, and `notes` says so. Of NaN and infinity in the output it raises ModelError.
    """

    network: Any
    device: torch.device = field(default_factory=choose_device)
    precision: Precision = "float32"
    batch: int = 0
    difference: float | None = None
    notes: list[str] = field(default_factory=list)
    _ready: Any = None
    _plain: Any = None
    _hands: _Hands | None = None

    def __call__(self, tiles: Tensor) -> Tensor:
        return self.start(tiles)()

    def start(self, tiles: Tensor) -> Callable[[], Tensor]:
        """Begin with `tiles`; what is returned gives the output, and waits for it.

        On CUDA the caller may meanwhile cut the next tiles and add up the last; elsewhere the work is done at once.
        """
        if self._ready is None:
            self._prepare(tiles)
        with torch.inference_mode():
            begun = self._in_parts(tiles)
        return partial(self._finish, begun, tuple(tiles.shape))

    @property
    def ahead(self) -> int:
        """Batches that are worth having begun before the first is waited for: a plane has one tile in each."""
        return torch.get_num_threads() if self._by_tile else 1

    def _finish(self, begun: list[_Begun], shape: tuple[int, ...]) -> Tensor:
        done = [part() for part in begun]
        out = done[0] if len(done) == 1 else torch.cat(done)
        if not bool(torch.isfinite(out).all()):
            raise ModelError(
                f"the network gave NaN or infinity in {self.precision} for tiles of {shape}: "
                f"{'try --precision float32' if self.precision == 'bfloat16' else 'its weights are damaged'}"
            )
        return out

    def _prepare(self, tiles: Tensor) -> None:
        """Put the network where it is to run, and try its arithmetic."""
        if isinstance(self.network, nn.Module):
            self._plain = self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            self._plain = self.network
        fast = None
        if self.device.type == "cpu" and isinstance(self._plain, nn.Module):
            fast = fuse(self._plain, torch.bfloat16 if self.precision == "bfloat16" else torch.float32)
        self._ready = fast if fast is not None else self._autocast
        if self.precision == "bfloat16":
            self._try_bfloat16(trial_tile(tiles.shape[1], *self._trial_side(tiles)))

    def _trial_side(self, tiles: Tensor) -> tuple[int, int]:
        """Short, so that the trial needs less memory than the work; the tile's own where the network wants that."""
        h, w = tiles.shape[2:]
        return (h, w) if getattr(self.network, "tile", None) else (min(h, TRIAL), min(w, TRIAL))

    def _try_bfloat16(self, tile: Tensor) -> None:
        with torch.inference_mode():
            tile = tile.to(self.device).contiguous(memory_format=torch.channels_last)
            exact, rough = self._plain(tile).float(), self._ready(tile).float()
        self.difference = float((rough - exact).norm() / exact.norm().clamp_min(1e-12))
        if not self.difference <= BOUND:
            raise ModelError(
                f"in bfloat16 this network is {self.difference:.1%} off float32 on a trial tile; at most {BOUND:.0%} "
                "is let pass: run it with --precision float32"
            )

    def _autocast(self, tiles: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            out: Tensor = self._plain(tiles)
        return out

    def _in_parts(self, tiles: Tensor) -> list[_Begun]:
        """Begin with batches of at most `batch`, halved as often as memory asks for."""
        size = min(self.batch or len(tiles), len(tiles), largest_batch(self.network, tuple(tiles.shape)))
        if self._by_tile:
            size = 1
        begun: list[_Begun] = []
        first = 0
        while first < len(tiles):
            try:
                begun.append(self._begin(tiles[first : first + size]))
                first += size
            except torch.OutOfMemoryError as error:
                size = self._halve(size, tiles, error)
        return begun

    def _halve(self, size: int, tiles: Tensor, error: Exception) -> int:
        if size == 1:
            raise ModelError(
                f"a single tile of {tuple(tiles.shape[1:])} does not fit into the memory of {self.device}: "
                "try smaller tiles (--tile), or fewer workers on this device"
            ) from error
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.batch = size // 2
        self.notes.append(
            f"{size} tiles at once were too many for the memory of {self.device}; going on with {self.batch}"
        )
        return self.batch

    @property
    def _by_tile(self) -> bool:
        """Whether every tile is computed by one thread, and threads share out the tiles.

        So on CPUs: sums that threads share out differ in their last bits with the number of threads, and that is no
        property of the volume.
        """
        return self.device.type == "cpu" and isinstance(self.network, nn.Module)

    def _begin(self, tiles: Tensor) -> _Begun:
        if self._by_tile:
            if self._hands is None or not self._hands.fit():
                self._hands = _Hands.now()
            return self._hands.pool.submit(_in_thread, self._ready, tiles).result
        if self.device.type != "cuda":
            out = self._ready(_last(tiles.to(self.device))).float().cpu()
            return lambda: out
        there = tiles.pin_memory().to(self.device, non_blocking=True)
        out = self._ready(_last(there)).float()
        host = torch.empty(out.shape, pin_memory=True)
        host.copy_(out, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return partial(_wait, event, host)


_Begun = Callable[[], Tensor]


@dataclass(frozen=True)
class _Hands:
    """As many threads as torch has, each with torch to itself, in this process."""

    pool: ThreadPoolExecutor
    count: int
    process: int

    @classmethod
    def now(cls) -> _Hands:
        count = torch.get_num_threads()
        return cls(ThreadPoolExecutor(count, "tile", torch.set_num_threads, (1,)), count, os.getpid())

    def fit(self) -> bool:
        """Whether the number of threads is still what is wanted, and the threads are this process's."""
        return (self.count, self.process) == (torch.get_num_threads(), os.getpid())


def _in_thread(network: Any, tiles: Tensor) -> Tensor:
    with torch.inference_mode():
        out: Tensor = network(_last(tiles)).float()
    return out


def _wait(event: torch.cuda.Event, host: Tensor) -> Tensor:
    event.synchronize()
    return host


def _last(tiles: Tensor) -> Tensor:
    return tiles.contiguous(memory_format=torch.channels_last)


def largest_batch(network: Any, shape: tuple[int, ...]) -> int:
    """Tiles of `shape` (n, channels, h, w) that may be run at once for no tensor to pass 2^31 elements."""
    _, channels, h, w = shape
    widest = max(channels, floats_at_most(network, h * w))
    return max(1, LARGEST // (widest * h * w))


def floats_at_most(network: Any, pixels: int) -> int:
    """Elements per pixel of the largest tensor inside `network`, for tiles of so many pixels."""
    nbase = getattr(network, "nbase", None)
    if nbase is not None:
        return int(max(nbase[:2]))
    heads = getattr(network, "heads", 16)
    tokens = pixels / 64  # a transformer of 8 x 8 patches: its attention, where that is held, and its widest layer
    return int(max(64, heads * tokens * tokens / pixels))


def trial_tile(channels: int, height: int, width: int) -> Tensor:
    """One tile to try a network on, (1, channels, height, width): round cells 30 pixels apart, from 0 to 1.

    The same for all workers, so they judge alike.
    """
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [
        (torch.sin(y * 2 * torch.pi / 30 + c) * torch.sin(x * 2 * torch.pi / 30)).clamp_min(0) for c in range(channels)
    ]
    return torch.stack(waves)[None].float()
