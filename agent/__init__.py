"""Who talks when, and the shells around it: desktop, server, command line."""

from __future__ import annotations

__version__ = "0.1.0"
