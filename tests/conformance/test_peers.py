"""Each cell under each forcing gives what its peer gives, and docs/cells.md says so truly."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from chaos_core.cells import CELLS
from chaos_core.forcing import FORCINGS
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from tests.conformance import cell_tables
from tests.conformance.cell_tables import TABLES, below, on_page, peer_line, table
from tests.conformance.peer_cases import Case, Run, apart, frozen, kind_of, ours, spelled
from tests.conformance.peer_rows import EXACT, KEPT, Julia, julia_cases, kept_run, rows, transcribed

ROWS = rows()
ROUNDING = 10.0
"""How much more than documented another machine's order of additions may make; an iteration may also stop elsewhere."""

CUT = [case for _, case in julia_cases() if case.signals == "frozen"]
REMEDY = f"run: python -m {cell_tables.__name__}"


def stripped(line: list[str]) -> list[str]:
    """A line of the peers' table without its two numbers."""
    return line[:5] + line[7:]


@cache
def documented() -> list[list[str]]:
    """The peers' table of docs/cells.md, cell by cell."""
    lines = on_page("peers").splitlines()[2:]
    return [[cell.replace(r"\|", "|") for cell in line[2:-2].split(" | ")] for line in lines]


@pytest.mark.parametrize(
    "number", range(len(ROWS)), ids=[f"{row.peer}-{row.cell}-{row.forcing}-{row.read_out}" for row in ROWS]
)
def test_a_cell_under_a_forcing_gives_the_trajectory_and_gradients_of_its_peer(number: int) -> None:
    row, said = ROWS[number], documented()[number]
    far = row.measure()
    for found, words in ((far.trajectory, said[5]), (far.gradients, said[6])):
        if words == "-":
            assert np.isnan(found)
        else:
            assert found <= (row.limit if row.limit > EXACT else min(EXACT, ROUNDING * float(words)))


def test_the_table_of_peers_holds_every_row_as_it_is() -> None:
    expected = [stripped(peer_line(row, "", "")) for row in ROWS]
    assert [stripped(line) for line in documented()] == expected, REMEDY


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"peers"}))
def test_the_other_tables_of_the_page_are_those_of_the_code(name: str) -> None:
    assert on_page(name) == TABLES[name](), REMEDY


def test_nine_cells_and_six_forcings_have_a_peer() -> None:
    """Two of today's cells have none; a cell that is added may have none."""
    compared = {row.cell.split(",")[0] for row in ROWS}
    assert compared <= set(CELLS)
    assert len(compared) == 9
    assert not compared & {"gru", "lem"}
    forced = {row.forcing.split(",")[0].split(" ")[0] for row in ROWS}
    assert forced <= set(FORCINGS)
    assert len(forced) == 6


def test_every_kept_row_names_a_commit_and_differs_from_all_others() -> None:
    commits = [peer["commit"] for peer in KEPT["peers"].values()]
    assert all(len(commit) == 40 for commit in commits)
    losses = [words["loss"] for words in KEPT["rows"]]
    assert len(set(losses)) == len(losses)
    assert all(np.abs(np.array(words["z"])).max() > 0.1 for words in KEPT["rows"])


def kept(peer: str, kind: str, forcing: str) -> tuple[Case, Run]:
    words = next(
        one
        for one in KEPT["rows"]
        if (one["peer"], one["cell"]["kind"], one["forcing"]["kind"]) == (peer, kind, forcing)
    )
    return Case.read(words), kept_run(words)


def in_its_words(peer: str, case: Case) -> Run:
    found = ours(case)
    return Run(found.z, found.x, found.loss, spelled(peer, case, found.gradients))


def test_another_interval_or_strength_than_the_peers_would_be_noticed() -> None:
    case, truth = kept("dend", "dendplrnn", "sparse")
    assert apart(in_its_words("dend", replace(case, forcing=Sparse(tau=4))), truth).trajectory > 1e-2
    case, truth = kept("alrnn", "alrnn", "generalized")
    wrong = apart(in_its_words("alrnn", replace(case, forcing=Generalized(alpha=0.41, units=(0, 1)))), truth)
    assert wrong.trajectory > 1e-4
    assert wrong.gradients > 1e-4


def test_a_gradient_with_the_wrong_sign_of_the_thresholds_would_be_noticed() -> None:
    case, truth = kept("dend", "dendplrnn", "identity")
    found = in_its_words("dend", case)
    found.gradients["thetas"] *= -1
    assert apart(found, truth).gradients == pytest.approx(2.0)


@pytest.mark.parametrize("julia", CUT, ids=lambda one: f"{kind_of(one.case.cell)}-{kind_of(one.case.forcing)}")
def test_our_gradient_through_the_inverse_is_the_derivative_of_the_whole_loss(julia: Julia) -> None:
    """As the project trains; the Julia code cuts it, and the difference is large."""
    whole = ours(julia.case)
    assert apart(whole, transcribed(julia.case, julia.how, "inferred")).gradients < 1e-10
    cut = ours(julia.case, frozen).gradients["B"]
    assert np.abs(whole.gradients["B"] - cut).max() > 1e-2 * np.abs(cut).max()


def test_a_deviation_is_documented_as_the_power_of_ten_above_it() -> None:
    assert [below(far) for far in (0.0, 1e-15, 3e-12, 2e-4, float("nan"))] == ["1e-15", "1e-15", "1e-11", "1e-3", "-"]


def test_a_table_keeps_bars_within_a_cell_apart_from_its_own() -> None:
    assert table(["a"], [["|x|"]]) == "| a |\n|---|\n| \\|x\\| |"


def test_rows_are_unique() -> None:
    keys = [(row.peer, row.cell, row.forcing, row.read_out, row.remark) for row in ROWS]
    assert len(set(keys)) == len(keys) == len(ROWS)
