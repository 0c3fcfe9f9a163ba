"""``python -m tests.sweep``: see `tests.sweep`."""

from __future__ import annotations

import sys

import jax

from tests.sweep.running import main

if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    sys.exit(main())
