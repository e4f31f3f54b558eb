"""Largest Lyapunov exponent of a measured series: two estimators, their evidence, one answer.

`divergence` follows neighbours apart, `map_model` pushes a tangent vector along the data through a fitted map,
`noise` finds how much to smooth before either, `verdict` says what kind of dynamics it is and why.
"""
