// The four views as tables. A cell knows what it stands for (`pick`) and under which names it lights
// up (`keys`); the element asks for those names and never for a view.

// An element with attributes and children. Text is always a text node, so no data becomes HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// The cells of all tables, by the names that light them up and by their place.
class Board {
  constructor() {
    this.lit = new Map();
    this.places = new Map();
    this.specs = new WeakMap();
  }

  add(element, spec, place) {
    this.specs.set(element, spec);
    this.places.set(place, element);
    element.dataset.place = place;
    for (const key of spec.keys || []) {
      if (!this.lit.has(key)) this.lit.set(key, []);
      this.lit.get(key).push(element);
    }
  }
}

// A picture of one setting: what every view needs, worked out once.
class Picture {
  constructor(setting, y, w, words, shows) {
    Object.assign(this, { a: setting, y, w, words, shows });
    this.shapes = shapes(setting);
    this.links = links(setting);
    this.z = result(setting, y, w);
    this.board = new Board();
    this.taps = count(this.shapes.w);
    this.counts = Array(this.z.length).fill(0);
    this.canvas = Array(count(this.shapes.canvas)).fill(0);
    this.byPlace = new Map();
    this.byEntry = new Map();
    for (const link of this.links) {
      if (link.z >= 0) this.counts[link.z] += 1;
      this.canvas[link.c] += y[link.y] * w[link.w];
      this.byPlace.set(`${link.y},${link.c}`, link);
      if (link.z >= 0) this.byEntry.set(`${link.z},${link.y}`, link);
    }
  }

  // y(0,1), and y(2,0,1) where there are channels to tell apart.
  name(letter, index) {
    const place = unravel(index, this.shapes[letter]);
    return `${letter}(${(this.a.groups > 1 ? place : place.slice(1)).join(",")})`;
  }

  // The element of z at a place of the canvas, or -1 where padding cuts it off.
  keptAt(c) {
    const [g, ...at] = unravel(c, this.shapes.canvas);
    const j = at.map((n) => n - this.a.padding);
    return j.every((n) => n >= 0 && n < inSize(this.a)) ? ravel([g, ...j], this.shapes.z) : -1;
  }

  colours(tap) {
    const back = colour(tap, this.taps);
    return `--c:${back};--ink:${ink(back)}`;
  }

  cell(spec, place) {
    const tag = spec.header ? "th" : "td";
    const role = { row: "rowheader", col: "columnheader" }[spec.header] || "gridcell";
    const edits = spec.edit ? "false" : undefined;
    const cell = make(tag, {
      role, class: spec.kind, "aria-label": spec.label, "aria-readonly": edits,
      scope: spec.header, style: spec.tap === undefined ? spec.style : this.colours(spec.tap),
      tabindex: spec.pick ? "-1" : undefined,
    }, spec.text);
    if (spec.pick) this.board.add(cell, spec, place);
    return cell;
  }

  // A table of rows of cells; it is one tab stop unless `scope` of several tables is.
  table(id, label, rows, { caption = label, kind = "", alone = true } = {}) {
    const body = rows.map((row, r) => make("tr", { role: "row" },
      ...row.map((spec, c) => this.cell(spec, `${id}:${r}:${c}`))));
    const table = make("table", { role: "grid", "aria-label": label, class: kind },
      make("caption", { "aria-hidden": "true" }, caption), make("tbody", { role: "rowgroup" }, ...body));
    table.dataset.grid = id;
    if (alone) table.dataset.scope = id;
    return table;
  }

  // One channel of an array of this size along each axis: `spec` is asked with coordinates.
  plane(id, label, size, spec, options) {
    const rows = range(this.a.dimension === 1 ? 1 : size).map((r) => range(size)
      .map((c) => spec(this.a.dimension === 1 ? [c] : [r, c])));
    return this.table(id, label, rows, options);
  }

  // -- the grids of y, w and z -----------------------------------------------------------------------

  inputs(letter, g) {
    const size = letter === "y" ? this.a.out_size : this.a.kernel;
    return this.plane(`${letter}${g}`, letter, size, (place) => {
      const index = ravel([g, ...place], this.shapes[letter]), value = this[letter][index];
      return {
        text: String(value), pick: { kind: letter, [letter]: index }, keys: [`${letter}${index}`],
        label: `${this.name(letter, index)} = ${value}`, edit: { letter, index },
        tap: letter === "w" ? index : undefined, kind: letter === "w" ? "tap" : "",
      };
    });
  }

  output(g, id = `z${g}`) {
    const most = Math.max(...this.counts, 1), counted = this.shows === "counts";
    return this.plane(id, "z", inSize(this.a), (place) => {
      const z = ravel([g, ...place], this.shapes.z);
      const value = counted ? this.counts[z] : this.z[z];
      return {
        text: String(value), pick: { kind: "z", z }, keys: [`z${z}`],
        label: `${this.name("z", z)} = ${this.z[z]}`, kind: counted ? "counted" : "",
        style: counted ? `--share:${Math.round(45 * this.counts[z] / most)}%` : undefined,
      };
    }, { kind: this.size(inSize(this.a)) });
  }

  // Larger canvases get smaller cells.
  size(length) {
    return length > 12 ? "tiny" : length > 7 ? "small" : "";
  }

  group(g, ...parts) {
    const title = this.a.groups > 1
      ? make("p", { class: "group" }, this.words.group(g)) : null;
    return make("div", { class: "block" }, title, make("div", { class: "row" }, ...parts));
  }

  grids() {
    return range(this.a.groups).map((g) => this.group(
      g, this.inputs("y", g), make("span", { class: "sign", "aria-hidden": "true" }, "⋆"),
      this.inputs("w", g), make("span", { class: "sign", "aria-hidden": "true" }, "→"),
      this.output(g),
    ));
  }

  // -- stamps ----------------------------------------------------------------------------------------

  stamp(y) {
    const [g] = unravel(y, this.shapes.y), name = this.name("y", y);
    return this.plane(`s${y}`, `${name} = ${this.y[y]}`, canvasSize(this.a), (place) => {
      const c = ravel([g, ...place], this.shapes.canvas), link = this.byPlace.get(`${y},${c}`);
      const off = this.keptAt(c) < 0 ? " off" : "";
      if (!link) return { text: "", pick: { kind: "y", y }, kind: `empty${off}`, label: name };
      const product = this.y[y] * this.w[link.w];
      const kept = link.z >= 0;
      return {
        text: String(product), tap: link.w, kind: `tap${off}`, keys: [`s${y},${c}`],
        pick: { ...link, kind: kept ? "entry" : "off" },
        label: `${name}·${this.name("w", link.w)} = ${product}`,
      };
    }, {
      caption: `${name}·w`, kind: `stamp ${this.size(canvasSize(this.a))}`, alone: false,
    });
  }

  sum(g) {
    return this.plane(`sum${g}`, this.words.sum, canvasSize(this.a), (place) => {
      const c = ravel([g, ...place], this.shapes.canvas), z = this.keptAt(c);
      const text = String(this.canvas[c]);
      if (z < 0) return { text, kind: "off" };
      return { text, pick: { kind: "z", z }, keys: [`z${z}`], kind: "total",
        label: `${this.name("z", z)} = ${text}` };
    }, { kind: `stamp ${this.size(canvasSize(this.a))}`, alone: false });
  }

  // All stamps, or where they are too many the one that is looked at.
  stamps(shown) {
    const all = this.y.length * this.canvas.length / this.a.groups;
    const one = all > MOST_ENTRIES;
    const blocks = range(this.a.groups).map((g) => {
      const own = range(this.y.length).filter((y) => unravel(y, this.shapes.y)[0] === g)
        .filter((y) => !one || y === shown);
      return own.length ? this.group(g, ...own.map((y) => this.stamp(y)), this.sum(g)) : null;
    });
    const holder = make("div", {}, ...blocks);
    holder.dataset.scope = "stamps";
    const notes = [];
    if (one) notes.push(this.words.oneStamp(this.name("y", shown)));
    if (this.links.some((link) => link.z < 0)) notes.push(this.words.cut);
    return [holder, ...notes.map((note) => make("p", { class: "note" }, note))];
  }

  // -- the matrix ------------------------------------------------------------------------------------

  entry(z, y) {
    const link = this.byEntry.get(`${z},${y}`);
    const at = { z, y, kind: link ? "entry" : "nothing" };
    const keys = [`e${z},${y}`, `row${z}`, `column${y}`];
    const [row, column] = [unravel(z, this.shapes.z)[0], unravel(y, this.shapes.y)[0]];
    const blocks = row === column ? "" : " apart";
    if (!link) return { text: "·", pick: at, keys, kind: `none${blocks}`, label: "0" };
    return { text: String(this.w[link.w]), tap: link.w, kind: "tap", keys, pick: { ...link, ...at },
      label: `${this.name("w", link.w)} = ${this.w[link.w]}` };
  }

  matrix() {
    const [rows, columns] = [this.z.length, this.y.length];
    if (rows * columns > MOST_ENTRIES) {
      return [make("p", { class: "note" }, this.words.tooLarge(rows, columns))];
    }
    const short = (letter, index) => this.name(letter, index).slice(2, -1);
    const head = [{ text: "z \\ y", kind: "corner" }, ...range(columns).map((y) => ({
      text: short("y", y), header: "col", pick: { kind: "y", y }, keys: [`y${y}`],
      label: `${this.name("y", y)} = ${this.y[y]}`,
    })), { text: "z", kind: "corner" }];
    const body = range(rows).map((z) => [
      { text: short("z", z), header: "row", pick: { kind: "z", z }, keys: [`z${z}`],
        label: this.name("z", z) },
      ...range(columns).map((y) => this.entry(z, y)),
      { text: String(this.z[z]), pick: { kind: "z", z }, keys: [`z${z}`], kind: "total",
        label: `${this.name("z", z)} = ${this.z[z]}` },
    ]);
    const kind = `matrix ${rows > 26 ? "small" : ""}`;
    return [this.table("matrix", "C.T", [head, ...body], { kind, caption: "" })];
  }

  // -- zero insertion --------------------------------------------------------------------------------

  flipped(g) {
    return this.plane(`f${g}`, this.words.flipped, span(this.a), (place) => {
      const t = place.map((at) => (span(this.a) - 1 - at) / this.a.dilation);
      if (!t.every(Number.isInteger)) return { text: "·", kind: "none" };
      const w = ravel([g, ...t], this.shapes.w);
      return { text: String(this.w[w]), tap: w, kind: "tap", pick: { kind: "w", w }, keys: [`w${w}`],
        label: `${this.name("w", w)} = ${this.w[w]}` };
    }, { kind: this.size(span(this.a)) });
  }

  padded(g) {
    const line = inserted(this.a);
    return this.plane(`u${g}`, "y, 0", line.length, (place) => {
      const ends = place.map((at) => line[at]);
      const key = `u${[g, ...ends.map((end) => end.at)].join(",")}`;
      const kind = ["border", "zero", "y"].find((name) => ends.some((end) => end.kind === name));
      const read = ends.every((end) => end.read) ? "" : " unread";
      if (kind !== "y") {
        return { text: "0", kind: kind + read, pick: { kind }, keys: [key], label: "0" };
      }
      const y = ravel([g, ...ends.map((end) => end.i)], this.shapes.y);
      return { text: String(this.y[y]), kind: `value${read}`, keys: [key, `y${y}`],
        pick: { kind: read ? "unread" : "y", y }, label: `${this.name("y", y)} = ${this.y[y]}` };
    }, { caption: "y, 0", kind: this.size(line.length) });
  }

  zeros() {
    const [before, after] = borders(this.a);
    const notes = [this.words.zerosNote(this.a, [before, after])];
    if (before < 0) notes.push(this.words.negative);
    const blocks = range(this.a.groups).map((g) => this.group(
      g, this.flipped(g), make("span", { class: "sign", "aria-hidden": "true" }, "∗"),
      this.padded(g), make("span", { class: "sign", "aria-hidden": "true" }, "→"),
      this.output(g, `zz${g}`),
    ));
    return [...blocks, ...notes.map((note) => make("p", { class: "note" }, note))];
  }

  // -- selections ------------------------------------------------------------------------------------

  linksOf(pick) {
    const same = (link) => ["y", "z", "w", "c"].every(
      (name) => pick[name] === undefined || pick[name] === link[name]);
    return { nothing: true, zero: true, border: true }[pick.kind] ? [] : this.links.filter(same);
  }

  // Every pair of a name and a tap, in whose colour a selection lights it.
  lights(pick) {
    const found = this.linksOf(pick), pairs = [];
    const own = pick.kind.length === 1 ? `${pick.kind}${pick[pick.kind]}` : "";
    for (const link of found) {
      const keys = [`y${link.y}`, `w${link.w}`, `s${link.y},${link.c}`];
      if (link.z >= 0) keys.push(`z${link.z}`, `e${link.z},${link.y}`);
      pairs.push(...keys.filter((key) => key !== own).map((key) => [key, link.w]));
    }
    return pairs;
  }

  // A selection of another picture, if this one has its places.
  carried(pick, from) {
    const letters = { entry: "yw", off: "yw", nothing: "zy", y: "y", z: "z", w: "w" }[pick.kind];
    const found = { kind: pick.kind };
    for (const letter of letters || "") {
      const place = unravel(pick[letter], from.shapes[letter]), shape = this.shapes[letter];
      if (place.length !== shape.length || place.some((at, n) => at >= shape[n])) return null;
      found[letter] = ravel(place, shape);
    }
    if (!letters || letters.length === 1) return letters ? found : null;
    const link = this.links.find((one) => [...letters].every((name) => one[name] === found[name]));
    return link ? { ...link, kind: link.z < 0 ? "off" : "entry" } : found;
  }

  // The places under the flipped kernel while it gives an element of z.
  window(z) {
    const j = unravel(z, this.shapes.z);
    return windowAt(this.a, j).map(({ w, at }) => [`u${[j[0], ...at].join(",")}`, w]);
  }

  // One sentence on a selection.
  sentence(pick) {
    const { words, y, w } = this, found = this.linksOf(pick);
    const name = (letter) => this.name(letter, pick[letter]);
    const kept = found.filter((link) => link.z >= 0).length, cut = found.length - kept;
    switch (pick.kind) {
      case "z": return words.z(
        name("z"), found.map((link) => `${this.name("y", link.y)}·${this.name("w", link.w)}`),
        found.map((link) => `${factor(y[link.y])}·${factor(w[link.w])}`), this.z[pick.z], pick.z);
      case "y": return words.y(name("y"), y[pick.y], kept, cut, pick.y);
      case "w": return words.w(name("w"), w[pick.w], kept, cut);
      case "entry": return words.entry(name("z"), name("y"), name("w"), w[pick.w],
        y[pick.y] * w[pick.w], pick.z, pick.y);
      case "off": return words.off(name("y"), name("w"), y[pick.y] * w[pick.w]);
      case "nothing": {
        const apart = unravel(pick.z, this.shapes.z)[0] !== unravel(pick.y, this.shapes.y)[0];
        return words[apart ? "blocks" : "nothing"](name("z"), name("y"), pick.z, pick.y);
      }
      case "unread": return words.unread(name("y"));
      default: return words[pick.kind];
    }
  }
}
