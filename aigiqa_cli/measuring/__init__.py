"""From predictions and an installed database to results.

`selection` says which images count, `folds` what a split is, `supply` what was predicted; `values` and `floors` measure
one model on one selection with the formulas of `evaluating`; `repeats` and `contest` put folds and models together;
`bench` runs them all, and a `results.Result` is what comes out; `lacking` is the error of one without its coefficients.
"""

from __future__ import annotations
