// A view as a picture in a file: its cells as they look now, in SVG, in TikZ, and in PNG at twice the size.

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

// A section as {title, paper, width, height, cells}; what is scrolled out of sight is in it too. A cell
// has a place, a size, its colours, and texts with places of their own.
function drawingOf(section, paper) {
  const box = section.querySelector(".scroll"), { scrollLeft, scrollTop } = box;
  box.scrollTo(0, 0); // else heads that stick would be drawn where they stick
  const seen = [...section.querySelectorAll("td, th, caption:not(:empty), .sign, .said, .group")]
    .map((part) => ({ part, style: getComputedStyle(part), at: part.getBoundingClientRect() }));
  box.scrollTo(scrollLeft, scrollTop);
  const flat = flattener(paper), margin = 6;
  const [left, top] = ["left", "top"].map((end) => Math.min(...seen.map(({ at }) => at[end])) - margin);
  const [width, height] = [["right", left], ["bottom", top]]
    .map(([end, from]) => Math.ceil(Math.max(...seen.map(({ at }) => at[end])) - from + margin));
  const round = (n) => Math.round(10 * n) / 10;
  const cells = seen.map(({ part, style, at }) => {
    const [x, y] = [at.left - left, at.top - top], size = parseFloat(style.fontSize), texts = [];
    const ink = flat(style.webkitTextFillColor), bold = part.matches(".value, .total");
    const rim = part.matches(".lit, .chosen") ? style.outlineWidth : style.borderTopWidth;
    const note = part.dataset.times, middle = y + at.height / 2 - (note ? size / 3 : 0);
    const add = (text, right, down, size, end) => texts.push({ text, x: round(right), y: round(down),
      size: round(size), ink, bold: bold && !end, end });
    if (part.textContent) add(part.textContent, x + at.width / 2, middle, size, false);
    if (note) add(note, x + at.width - 2, y + at.height - size / 3, 0.68 * size, true);
    return { texts, box: part.matches("td, th") && {
      x: round(x), y: round(y), width: round(at.width), height: round(at.height), fill: flat(style.backgroundColor),
      line: flat(style.borderTopColor), rim: parseFloat(rim), dashed: style.borderTopStyle === "dashed",
    } };
  });
  return { title: section.getAttribute("aria-label"), paper: flat(paper), width, height, cells };
}

function svgText({ title, paper, width, height, cells }) {
  const parts = cells.map(({ box, texts }) => (box ? `<rect x="${box.x}" y="${box.y}" width="${box.width}" `
    + `height="${box.height}" rx="2" fill="${box.fill}" stroke="${box.line}" stroke-width="${box.rim}"`
    + `${box.dashed ? ' stroke-dasharray="2"' : ""}/>` : "")
    + texts.map(({ text, x, y, size, ink, bold, end }) => `<text x="${x}" y="${y}" font-size="${size}" `
      + `fill="${ink}"${bold ? ' font-weight="bold"' : ""}${end ? ' text-anchor="end"' : ""}>${escaped(text)}</text>`)
      .join(""));
  return `<svg xmlns="${SVG}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" `
    + `font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" text-anchor="middle" dominant-baseline="central">`
    + `<title>${escaped(title)}</title>`
    + `<rect width="100%" height="100%" fill="${paper}"/>${parts.join("\n")}</svg>\n`;
}

// Text as TeX writes it. What the views say besides letters and numbers is mathematics.
const SIGNS = { "·": "\\cdot ", "−": "-", "-": "-", "×": "\\times ", "⋆": "\\star ", "∗": "\\ast ", "→": "\\to " };
const inTex = (text) => text.replace(/\\/g, "\\textbackslash ").replace(/[{}$&#_%]/g, "\\$&")
  .replace(/[·−\-×⋆∗→]/g, (sign) => `$${SIGNS[sign]}$`);

// The drawing as one tikzpicture, with its colours in it. The document needs \usepackage{tikz} only.
function tikzText({ cells }) {
  const colours = new Map();
  const named = (colour) => {
    if (!colours.has(colour)) colours.set(colour, `tconv${colours.size}`);
    return colours.get(colour);
  };
  const lines = cells.flatMap(({ box, texts }) => [
    ...[box || []].flat().map(({ x, y, width, height, fill, line, rim, dashed }) => `\\filldraw[fill=${named(fill)}, `
      + `draw=${named(line)}, line width=${rim}bp${dashed ? ", dashed" : ""}] (${x},${y}) rectangle ++(${width},${height});`),
    ...texts.map(({ text, x, y, size, ink, bold, end }) => `\\node[text=${named(ink)}${end ? ", anchor=east" : ""}] at `
      + `(${x},${y}) {\\fontsize{${size}bp}{${size}bp}\\selectfont ${bold ? `\\textbf{${inTex(text)}}` : inTex(text)}};`),
  ]);
  const defined = [...colours].map(([code, name]) => `\\definecolor{${name}}{HTML}{${code.slice(1).toUpperCase()}}`);
  return ["\\begin{tikzpicture}[x=1bp, y=-1bp, inner sep=0pt]", ...defined, ...lines, "\\end{tikzpicture}", ""].join("\n");
}

const asAddress = (kind, text) => `data:${kind};charset=utf-8,${encodeURIComponent(text)}`;
const svgOf = (drawing) => asAddress("image/svg+xml", svgText(drawing));
const tikzOf = (drawing) => asAddress("application/x-tex", tikzText(drawing));

async function pngOf(drawing) {
  const { width, height } = drawing, image = new Image();
  image.src = svgOf(drawing);
  await image.decode();
  const canvas = make("canvas", { width: 2 * width, height: 2 * height });
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
  return canvas.toDataURL("image/png");
}

function download(address, name) {
  make("a", { href: address, download: name }).click();
}
