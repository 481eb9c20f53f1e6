"""What other code bases print for the same predictions, as far as their published rules allow.

Each mode states its rules and where it differs from this package and why. They are written from the published rules,
not from the code, and fit with SciPy's `curve_fit` (Levenberg-Marquardt of MINPACK) from the published start, in
float64. Where that code would stop with an error, or print nan, the value is None and there is a reason.
"""

from __future__ import annotations

from aigiqa_cli.evaluating.compat import aigciqa_authors, dbcnn, m3, ma_agiqa, pyiqa
from aigiqa_cli.evaluating.compat.mode import Difference, Mode

__all__ = ["MODES", "Difference", "Mode"]

MODES: dict[str, Mode] = {
    "pyiqa": pyiqa.MODE,
    "dbcnn": dbcnn.MODE,
    "ma-agiqa": ma_agiqa.MODE,
    "m3": m3.MODE,
    "aigciqa-authors": aigciqa_authors.MODE,
}
