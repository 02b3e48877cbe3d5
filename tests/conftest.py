from __future__ import annotations

from hypothesis import settings

# The same examples every time, and no deadline: a busy machine is no defect of the code.
settings.register_profile("descant", derandomize=True, deadline=None)
settings.load_profile("descant")
