// Two settings side by side. What differs has a thick frame, and its row a sign.

// A table of texts that nothing is linked to; `differs` is asked by row and column.
function plainTable(caption, rows, differs, words, kind = "") {
  const cell = (text, other) => make("td",
    other ? { class: "differs", "aria-label": `${text || 0}: ${words.differs}` } : {}, text);
  const body = rows.map((row, r) => make("tr", {}, ...row.map((text, c) => cell(text, differs(r, c)))));
  return make("table", { class: kind }, make("caption", {}, caption), make("tbody", {}, ...body));
}

// z and C.T of a picture by the coordinates of their entries.
function entriesOf(picture) {
  const at = (letter, index) => picture.name(letter, index), found = new Map();
  for (const { y, z, w } of picture.links) {
    const key = at("z", z) + at("y", y);
    if (z >= 0) found.set(key, (found.get(key) || 0) + picture.w[w]);
  }
  for (const [key, value] of found) found.set(key, picture.text("w", value));
  picture.z.forEach((value, z) => found.set(at("z", z), picture.text("z", value)));
  return found;
}

// The numbers of a setting, one below the other.
function numbersOf(a, words) {
  const { rows, columns, products } = counts(a), [x, y] = sizesOf(a);
  return [[words.controls.dimension, String(a.dimension)],
    ...Object.keys(RANGES).map((name) => [words.controls[name], writeNumbers(a, name)]),
    [words.controls.padding_mode, words.modes[a.padding_mode]],
    ["x, z", x], ["y", y], ["C", `${grouped(rows)} × ${grouped(columns)}`], [words.products, grouped(products)]];
}

// The numbers of both, and below them z and C.T of both if both can be drawn.
function comparison(words, [before, now]) {
  const sides = [before, now].map(({ a }) => numbersOf(a, words));
  const differ = sides[0].map(([, text], r) => text !== sides[1][r][1]);
  const head = ["", words.compared.before, words.compared.now];
  const rows = sides[0].map(([name, text], r) => [`${differ[r] ? "≠ " : ""}${name}`, text, sides[1][r][1]]);
  const parts = [plainTable("", [head, ...rows], (r, c) => r > 0 && c > 0 && differ[r - 1], words, "numbers")];
  if (!before.picture || !now.picture) return parts;
  const entries = [before, now].map(({ picture }) => entriesOf(picture));
  const shown = [before, now].map(({ picture }, side) => {
    const { z, y, shapes } = picture, own = entries[side], other = entries[1 - side];
    const differs = (key) => own.get(key) !== other.get(key);
    const across = shapes.z.at(-1), name = (letter, index) => picture.name(letter, index);
    const planes = range(z.length / across).map((r) => range(across).map((c) => name("z", r * across + c)));
    const matrix = range(z.length).map((r) => range(y.length).map((c) => name("z", r) + name("y", c)));
    const texts = (keys) => keys.map((row) => row.map((key) => own.get(key) ?? ""));
    const table = (caption, keys, kind) => plainTable(
      caption, texts(keys), (r, c) => differs(keys[r][c]), words, kind);
    const title = make("p", { class: "group" }, head[side + 1]);
    const found = [title, table("z", planes, picture.small(picture.sizes))];
    if (z.length * y.length <= MOST_ENTRIES) found.push(table("C.T", matrix, "tiny"));
    return make("div", { class: "side" }, ...found);
  });
  return [...parts, make("div", { class: "sides" }, ...shown)];
}
