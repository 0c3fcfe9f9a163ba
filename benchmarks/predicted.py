"""Compute what splitting one image over many devices should gain, on paper.

    python benchmarks/predicted.py

The layer is that of docs/use/sharding.md: stride 2, four taps along each axis, from C channels to
C / 2. A training step computes three partials, and sends what the compiled program was seen to
send: two rows of y, four of the result, and the sum of the kernel's gradient. Nothing is overlapped
and a message costs nothing but its bytes, so only one number of the machine counts: the products
and sums that a device computes while its link carries one byte. ``docs/ext/speed.py`` draws them.
"""

from __future__ import annotations

import json
import math

SIZES = {"4096 x 4096, 64 channels": ((4096, 4096), 64),
         "512 x 512 x 512, 32 channels": ((512, 512, 512), 32)}  # fmt: skip
DEVICES = tuple(2**n for n in range(11))
BALANCES = (1_000, 10_000)
"""Operations for each byte: 100 TFLOP/s are 1,000 with 100 GB/s and 10,000 with 10 GB/s."""


def operations(size: tuple[int, ...], channels: int) -> int:
    """Products and sums of a step: each of y's elements meets each tap, in three partials."""
    return 3 * 2 * channels * math.prod(size) * (channels // 2) * 4 ** len(size)


def sent(size: tuple[int, ...], channels: int, parts: tuple[int, ...]) -> float:
    """Bytes of float32 that one device receives in a step.

    Args:
        size: of y.
        channels: of y.
        parts: into how many pieces each axis is cut.
    """
    devices = math.prod(parts)
    share = channels * math.prod(size) / devices
    # A row of the result has half the channels and is twice as long along every other axis.
    rows = 2 + 4 * 2 ** (len(size) - 1) / 2
    halos = sum(
        min(p - 1, 2) / 2 * rows * share / (n / p) for n, p in zip(size, parts, strict=True)
    )
    kernel = channels * (channels // 2) * 4 ** len(size)
    return 4 * (halos + 2 * (devices - 1) / devices * kernel)


def cut(devices: int, axes: int, rank: int) -> tuple[int, ...]:
    """Pieces along each axis, a power of two, as even as can be."""
    power = devices.bit_length() - 1
    pieces = [2 ** (power // axes + (n < power % axes)) for n in range(axes)]
    return (*pieces, *[1] * (rank - axes))


def efficiency(size: tuple[int, ...], channels: int, axes: int, balance: int) -> list[float | None]:
    """The speed-up over the number of devices, for each number that an axis has rows for."""
    found: list[float | None] = []
    for devices in DEVICES:
        parts = cut(devices, axes, len(size))
        work = operations(size, channels) / devices
        fits = all(p <= n for p, n in zip(parts, size, strict=True))
        seconds = work + balance * sent(size, channels, parts)
        found.append(round(work / seconds, 4) if fits else None)
    return found


def predicted() -> dict[str, dict[str, list[float | None]]]:
    """Efficiencies by size, and by the axes that are cut and the balance."""
    return {
        name: {
            f"{axes} {'axis' if axes == 1 else 'axes'}, {balance:,}": efficiency(
                size, channels, axes, balance
            )
            for axes in range(1, len(size) + 1)
            for balance in BALANCES
        }
        for name, (size, channels) in SIZES.items()
    }


if __name__ == "__main__":
    print(json.dumps(predicted(), indent=2))
