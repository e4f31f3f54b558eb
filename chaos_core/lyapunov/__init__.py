"""Largest Lyapunov exponent of a measured series: several estimators, their evidence, one answer.

Reading order: `preparation` makes states of a series, with `cleaning` (`noise` filters, `denoising` uses the motion's
own rule); `divergence` follows neighbours apart; `map_model` fits a map in the basis of `features`, `growth` pushes
tangent vectors through it; `fusion` weighs what these say, by how well each map's own runs fill the attractor
(`measure`); `verdict` says what kind of dynamics it is and why.
"""
