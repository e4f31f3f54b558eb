"""How the verdict weighs what curve and maps say; the kinds of series themselves stand in test_analysis."""

from dataclasses import replace

import pytest

from chaos_core.lyapunov.fusion import Exponent, estimate_exponent
from chaos_core.lyapunov.preparation import Prepared, prepare
from chaos_core.lyapunov.verdict import Verdict, judge
from chaos_core.series import Series
from chaos_core.systems import lorenz63


@pytest.fixture(scope="module")
def lorenz() -> tuple[Prepared, Exponent]:
    prepared = prepare(Series(lorenz63(4000, 0.04).x[:, :1], 0.04))
    return prepared, estimate_exponent(prepared)


def test_chaos_that_maps_and_curve_agree_on_is_called_so(lorenz: tuple[Prepared, Exponent]) -> None:
    assert judge(*lorenz).verdict is Verdict.CHAOTIC


@pytest.mark.parametrize(("share", "verdict"), [(0.5, Verdict.CHAOTIC), (0.2, Verdict.UNDECIDED)])
def test_a_curve_that_rises_far_faster_than_any_map_stretches_is_no_chaos(
    lorenz: tuple[Prepared, Exponent], share: float, verdict: Verdict
) -> None:
    prepared, found = lorenz
    assert found.by_divergence is not None
    doubted = tuple(replace(growth, weight=0.0) for growth in found.growths)
    told = replace(found, growths=doubted, by_map=share * found.by_divergence)
    assert judge(prepared, told).verdict is verdict
