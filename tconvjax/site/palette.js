// The colours of taps: the package's own, from tconvjax/rendering/palette.py, which says where
// they are from.

const EIGHT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442",
  "#999999"];
const SCALE = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779",
  "#6ece58", "#b5de2b", "#fde725"];

// Halves go to the even neighbour, as Python rounds them.
function rounded(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}
const rgb = (code) => [1, 3, 5].map((n) => parseInt(code.slice(n, n + 2), 16));

function colour(tap, taps) {
  if (taps <= EIGHT.length) return EIGHT[tap % EIGHT.length];
  const place = (tap % taps) / (taps - 1) * (SCALE.length - 1);
  const first = Math.min(Math.floor(place), SCALE.length - 2);
  const [low, high] = [rgb(SCALE[first]), rgb(SCALE[first + 1])];
  const mixed = low.map((part, n) => rounded(part + (high[n] - part) * (place - first)));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

// The relative luminance of WCAG 2.2.
function luminance(parts) {
  const [r, g, b] = parts.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
// Black or white, whichever stands out more from a background.
const ink = (back) => ((luminance(rgb(back)) + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff");
