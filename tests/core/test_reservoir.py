import numpy as np
from reservoirpy.nodes import Reservoir as TheirReservoir

from chaos_core.baselines.readout import ridge_readouts
from chaos_core.baselines.reservoir import Reservoir, drawn_network
from chaos_core.systems import lorenz63

LORENZ_TIME = 1 / 0.9056


def test_states_are_those_of_an_independent_program_with_the_same_weights() -> None:
    network = drawn_network(40, 3, 0.9, 0.3, 0.5, seed=3)
    x = np.random.default_rng(0).standard_normal((200, 3))
    theirs = TheirReservoir(W=network.w, Win=network.w_in, bias=network.bias, lr=0.3).run(x)
    np.testing.assert_allclose(network.driven(x), theirs, atol=1e-12)
    one_by_one = network.step(network.driven(x)[:-1], x[1:])
    np.testing.assert_allclose(one_by_one, network.driven(x)[1:], atol=1e-12)


def test_the_spectral_radius_is_the_one_asked_for() -> None:
    for radius in (0.4, 1.3):
        w = drawn_network(50, 1, radius, 1.0, 1.0, seed=0).w
        assert abs(np.abs(np.linalg.eigvals(w)).max() - radius) < 1e-12


def test_lorenz_is_forecast_for_at_least_three_lyapunov_times_from_most_starts() -> None:
    series = lorenz63(9000)
    known, test = series.x[:5000], series.x[5000:]
    fitted = Reservoir(units=200, leak=1.0).fit(known)
    times = []
    for start in range(200, 2400, 200):
        truth = test[start : start + 600]
        run = fitted.run(test[start - 150 : start], len(truth))
        wrong = np.sqrt(((run - truth) ** 2).mean(axis=1)) > 0.4 * np.sqrt(truth.var(axis=0).mean())
        times.append((int(np.argmax(wrong)) if wrong.any() else len(truth)) * 0.01 / LORENZ_TIME)
    assert np.median(times) >= 3


def test_a_ridge_read_out_solves_its_normal_equations() -> None:
    rng = np.random.default_rng(0)
    features, targets = rng.standard_normal((300, 5)), rng.standard_normal((300, 2))
    ridges = (1e-6, 1e-2, 1.0)
    for ridge, readout in zip(ridges, ridge_readouts(features, targets, ridges), strict=True):
        residual = targets - readout(features)
        np.testing.assert_allclose(residual.mean(axis=0), 0.0, atol=1e-12)
        centred = features - features.mean(axis=0)
        np.testing.assert_allclose(centred.T @ residual / 300, ridge * readout.weights, atol=1e-12)


def test_fragments_shorter_than_the_washout_do_not_crowd_out_a_long_piece() -> None:
    x = lorenz63(9000).x
    pieces = [x[:2000], *(x[2000 + 60 * i : 2060 + 60 * i] for i in range(110))]
    run = Reservoir(units=60, leak=1.0, input_scaling=0.1).fit(pieces).run(x[:2000], 50)
    assert np.abs(run - x[2000:2050]).max() < 0.1 * x.std()
