import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.judging import judge_of
from chaos_core.planning import plan
from chaos_core.selection import LONGEST_RUN
from chaos_core.series import Scaling
from chaos_core.spec import Spec
from chaos_core.systems import henon
from chaos_core.windows import Rows


@pytest.mark.parametrize(("test_rows", "steps"), [(2_000, 2_500), (20_000, LONGEST_RUN), (1_000_000, LONGEST_RUN)])
def test_runs_that_choose_a_state_are_as_long_as_those_of_the_evaluation_up_to_a_bound(
    test_rows: int, steps: int
) -> None:
    series = henon(1_500)
    scaling = Scaling.of(series)
    x = scaling.apply(series.x)
    rows = Rows(x, (0, len(x)), np.zeros((len(x), 0)), x)
    assert judge_of(plan(Spec(), analyse(series)), scaling, rows, rows, test_rows).steps == steps
