import io
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from chaos_core.analysis import analyse
from chaos_core.errors import BadShape
from chaos_core.figures import attractor_figure, divergence_figure
from chaos_core.series import Series
from chaos_core.systems import henon, lorenz63, sine, white_noise


def picture(files: dict[str, bytes]) -> np.ndarray:
    """The PNG as (height, width, 3) and a check that the SVG is one."""
    assert sorted(files) == ["png", "svg"]
    assert ElementTree.fromstring(files["svg"]).tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(io.BytesIO(files["png"])) as image:
        return np.asarray(image.convert("RGB"), dtype=int)


def reddish(pixels: np.ndarray) -> int:
    """Pixels in the colour of the generated series."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return int(((red > 150) & (green < 130) & (blue < 120)).sum())


def wave(rows: int, channels: int) -> np.ndarray:
    return np.sin(0.1 * np.arange(rows)[:, None] + np.arange(channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_series_of_any_number_of_channels_are_drawn(channels: int) -> None:
    pixels = picture(attractor_figure(wave(900, channels), wave(1200, channels), dt=0.1, title="a title"))
    assert pixels.shape[1] == 1600
    assert reddish(pixels) > 2000


def test_maps_and_flat_arrays_are_drawn() -> None:
    assert reddish(picture(attractor_figure(henon(800).x, henon(800, seed=1).x, ("x", "y")))) > 1000
    flat = white_noise(400).x[:, 0]
    picture(attractor_figure(flat, flat))


def test_equal_input_gives_equal_bytes() -> None:
    x = lorenz63(600).x
    assert attractor_figure(x, x, dt=0.01) == attractor_figure(x, x, dt=0.01)


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 1e200], ids=str)
def test_a_run_that_breaks_off_is_drawn_as_far_as_it_goes(spoil: float) -> None:
    x = wave(900, 3)
    broken = x.copy()
    broken[200:] = spoil
    whole, part = (picture(attractor_figure(x, run)) for run in (x, broken))
    assert 500 < reddish(part) < reddish(whole)


@pytest.mark.parametrize(
    "run",
    [wave(900, 2)[:0], wave(900, 2)[:1], wave(900, 2)[:3], np.ones((900, 2)), np.full((900, 2), np.nan)],
    ids=["no row", "one row", "three rows", "constant", "not a number"],
)
def test_a_run_with_nothing_to_show_leaves_its_panels_nearly_empty(run: np.ndarray) -> None:
    assert reddish(picture(attractor_figure(wave(900, 2), run))) < 4000


def test_names_from_a_users_file_cannot_break_the_picture() -> None:
    names = ("$x_1", "a very long name that would run over", "\u5f37\u5ea6 \\frac{")
    picture(attractor_figure(wave(300, 3), wave(300, 3), names, title="$100 & <b>"))


def test_what_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(BadShape):
        attractor_figure(wave(300, 3), wave(300, 2))
    with pytest.raises(BadShape):
        attractor_figure(np.full((300, 2), np.nan), wave(300, 2))
    with pytest.raises(BadShape):
        attractor_figure(wave(3, 2), wave(300, 2))


@pytest.mark.parametrize(
    "make", [lambda: lorenz63(2000), lambda: sine(1000), lambda: white_noise(500)], ids=["lorenz", "sine", "noise"]
)
def test_divergence_is_drawn_for_chaos_and_for_what_is_none(make: Callable[[], Series]) -> None:
    analysis = analyse(make())
    picture(divergence_figure(analysis))
    picture(divergence_figure(analysis.model_copy(update={"curve": None, "lambda_max_per_step": None})))


def test_drawing_never_loads_pyplot() -> None:
    picture(attractor_figure(wave(100, 1), wave(100, 1)))
    assert "matplotlib.pyplot" not in sys.modules
