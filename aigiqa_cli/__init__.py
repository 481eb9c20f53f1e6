"""aigiqa: obtain, verify and use the databases of AI-generated-image quality assessment."""

from __future__ import annotations

__version__ = "0.1.0"
