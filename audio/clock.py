"""The one input clock: every position on the hearing side is a count of 16 kHz samples since the first frame.

Knows the rate, the frame and the array type. Does not know wall time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]
"""Mono sound, shape [samples], values in [-1, 1]."""

Pcm = npt.NDArray[np.int16]
"""Mono sound as it is played and written, shape [samples]."""

RATE: Final = 16_000
"""Samples per second of the input clock."""

FRAME: Final = 320
"""Samples in one input frame: 20 ms."""


def samples_of(milliseconds: float) -> int:
    """Length in input samples of a duration in milliseconds."""
    return round(milliseconds * RATE / 1000)
