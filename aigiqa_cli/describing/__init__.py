"""What databases are like, in numbers: rows of the index in, counts, moments, histograms and differences out.

Nothing here knows a file or a screen. Moments and quantiles follow the conventions of pandas (see `summary`).
"""

from __future__ import annotations
