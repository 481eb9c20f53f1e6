"""Pictures in a terminal: which way it knows, and how they are written to it.

Terminals get pixels that were decoded here and encoded anew, never the bytes of a file.
"""

from __future__ import annotations
