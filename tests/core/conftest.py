"""Fixtures of the core: native code at each level, and a small series with its analysis."""

import pytest

from chaos_core.analysis import Analysis, analyse
from chaos_core.native import Library
from chaos_core.native.loader import FOLDER, cpu_levels, open_library
from chaos_core.series import Series
from chaos_core.systems import lorenz63


@pytest.fixture(params=cpu_levels())
def kernels(request: pytest.FixtureRequest) -> Library:
    """Native code of each level that this machine can run."""
    active, why = open_library(FOLDER, [request.param])
    assert active is not None, why.reason
    return active


@pytest.fixture(scope="session")
def series() -> Series:
    return lorenz63(1500)


@pytest.fixture(scope="session")
def analysis(series: Series) -> Analysis:
    return analyse(series)
