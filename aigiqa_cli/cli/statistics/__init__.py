"""Statistics, comparisons and single images, for people, for pipes and as a figure."""

from __future__ import annotations
