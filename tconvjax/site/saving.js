// A view as a picture in a file: its cells as they look now, in SVG, and in PNG at twice the size.

const SVG = "http://www.w3.org/2000/svg";
const escaped = (text) => text.replace(/[&<>"]/g,
  (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);

// Colours as programs other than browsers read them, after what lies below has shone through.
function flattener(paper) {
  const canvas = make("canvas", { width: 1, height: 1 }), found = new Map();
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return (colour) => {
    if (!found.has(colour)) {
      for (const one of ["#ffffff", paper, colour]) { // a paper that is no colour stays white
        pen.fillStyle = one;
        pen.fillRect(0, 0, 1, 1);
      }
      const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
      found.set(colour, `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`);
    }
    return found.get(colour);
  };
}

// A section as {text, width, height}; what is scrolled out of sight is in it too.
function drawingOf(section, paper) {
  const box = section.querySelector(".scroll"), { scrollLeft, scrollTop } = box;
  box.scrollTo(0, 0); // else heads that stick would be drawn where they stick
  const seen = [...section.querySelectorAll("td, th, caption:not(:empty), .sign, .group")]
    .map((part) => ({ part, style: getComputedStyle(part), at: part.getBoundingClientRect() }));
  box.scrollTo(scrollLeft, scrollTop);
  const flat = flattener(paper), margin = 6;
  const [left, top] = ["left", "top"].map((end) => Math.min(...seen.map(({ at }) => at[end])) - margin);
  const [width, height] = [["right", left], ["bottom", top]]
    .map(([end, from]) => Math.ceil(Math.max(...seen.map(({ at }) => at[end])) - from + margin));
  const round = (n) => Math.round(10 * n) / 10;
  const letters = (text, x, y, size, ink, more = "") => `<text x="${round(x)}" y="${round(y)}" `
    + `font-size="${round(size)}" fill="${ink}"${more}>${escaped(text)}</text>`;
  const parts = seen.map(({ part, style, at }) => {
    const [x, y] = [at.left - left, at.top - top], text = part.textContent, size = parseFloat(style.fontSize);
    const ink = flat(style.webkitTextFillColor), found = [];
    if (part.matches("td, th")) {
      const dashes = style.borderTopStyle === "dashed" ? ' stroke-dasharray="2"' : "";
      const rim = part.matches(".lit, .chosen") ? parseFloat(style.outlineWidth) : parseFloat(style.borderTopWidth);
      found.push(`<rect x="${round(x)}" y="${round(y)}" width="${round(at.width)}" height="${round(at.height)}" `
        + `rx="2" fill="${flat(style.backgroundColor)}" stroke="${flat(style.borderTopColor)}" `
        + `stroke-width="${rim}"${dashes}/>`);
    }
    const note = part.dataset.times, middle = y + at.height / 2 - (note ? size / 3 : 0);
    const weight = part.matches(".value, .total") ? ' font-weight="bold"' : "";
    if (text) found.push(letters(text, x + at.width / 2, middle, size, ink, weight));
    if (note) {
      found.push(letters(note, x + at.width - 2, y + at.height - size / 3, 0.68 * size, ink, ' text-anchor="end"'));
    }
    return found.join("");
  });
  const text = `<svg xmlns="${SVG}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" `
    + `font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" text-anchor="middle" dominant-baseline="central">`
    + `<title>${escaped(section.getAttribute("aria-label"))}</title>`
    + `<rect width="100%" height="100%" fill="${flat(paper)}"/>${parts.join("\n")}</svg>\n`;
  return { text, width, height };
}

const asAddress = (text) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;

async function pngOf({ text, width, height }) {
  const image = new Image();
  image.src = asAddress(text);
  await image.decode();
  const canvas = make("canvas", { width: 2 * width, height: 2 * height });
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
  return canvas.toDataURL("image/png");
}

function download(address, name) {
  make("a", { href: address, download: name }).click();
}
