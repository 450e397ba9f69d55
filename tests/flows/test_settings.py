from __future__ import annotations

import pytest

from bigcell.core.errors import SettingsError
from bigcell.flows.settings import FlowSettings


@pytest.mark.parametrize("weights", [(1, 1, 1), (3, 1, 0.5), (0, 1, 2)])
@pytest.mark.parametrize("views", ["average", "sum"])
def test_shares_add_up_to_one_or_to_the_views_that_know(weights: tuple[float, ...], views: str) -> None:
    settings = FlowSettings(views=views, view_weights=weights)  # type: ignore[arg-type]
    knows = {0: (1, 2), 1: (0, 2), 2: (0, 1), 3: (0, 1, 2)}
    for component, every in knows.items():
        run = [v for v in every if v in settings.shown]
        total = sum(settings.share(component, v, settings.shown) for v in run)
        assert total == pytest.approx(1 if views == "average" else len(run))


def test_a_plane_is_what_its_only_view_says() -> None:
    assert FlowSettings(views="sum", view_weights=(0.2, 1, 1)).share(3, 0, (0,)) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"views": "mean"}, "'average' or 'sum'"),
        ({"view_weights": (1, 0, 0)}, "at least two"),
        ({"view_weights": (1, -1, 1)}, "from 0 on"),
        ({"view_weights": (1, float("nan"), 1)}, "from 0 on"),
        ({"smooth": (1, 2)}, "three sigmas"),
        ({"smooth": (1, float("nan"), 1)}, "three sigmas"),
        ({"precision": "float16"}, "'float32' or 'bfloat16'"),
    ],
)
def test_wrong_settings_say_what_is_wanted(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        FlowSettings(**wrong)  # type: ignore[arg-type]
