from __future__ import annotations

raise ImportError("this Python is too new")
