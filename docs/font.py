"""Make the site's font for formulas from STIX Two Math, which has the shapes that brackets grow by.

    npm pack @fontsource/stix-two-math@5.3.0 && tar xzf fontsource-stix-two-math-5.3.0.tgz
    pip install fonttools brotli
    python docs/font.py package

Of its 5,000 glyphs those are kept that formulas of this site can have. Subscripts do not drop below
the tail of a letter: those of y then stand as high as those of w, as in TeX. The font is under the
SIL Open Font License, a copy of which lies beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "assets" / "fonts"
KEPT = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x300, 0x333), (0x391, 0x3F5), (0x2010, 0x2044), (0x2061, 0x2064),
    (0x20D7, 0x20D7), (0x210E, 0x210E), (0x2102, 0x2124), (0x2190, 0x21D4), (0x2200, 0x22FF),
    (0x2308, 0x230B), (0x23B4, 0x23B5), (0x23DC, 0x23DF), (0x27E8, 0x27E9), (0x1D434, 0x1D467),
    (0x1D6A8, 0x1D71B), (0x1D5A0, 0x1D5D3), (0x1D400, 0x1D433), (0x1D49C, 0x1D4CF),
    (0x1D538, 0x1D56B), (0x1D7CE, 0x1D7D7),
]  # fmt: skip


def main(package: Path) -> None:
    """Write the font and its license."""
    from fontTools import subset  # the tests collect this file where no fontTools is installed

    options = subset.Options(flavor="woff2", layout_features=["*"], hinting=False)
    font = subset.load_font(str(package / "files/stix-two-math-latin-400-normal.woff2"), options)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=[n for first, last in KEPT for n in range(first, last + 1)])
    chosen.subset(font)
    font["MATH"].table.MathConstants.SubscriptBaselineDropMin.Value = 0
    FOLDER.mkdir(exist_ok=True)
    subset.save_font(font, str(FOLDER / "stix-two-math.woff2"), options)
    shutil.copyfile(package / "LICENSE", FOLDER / "OFL.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
