// The views as tables, of which the picture in `selecting.js` is made. A cell knows what it stands for (`pick`) and under which names it lights
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

// x has the places of z, C x those of y, and the gradient of w those of w.
const LIKE = { x: "z", Cx: "y", dw: "w" };

// The cells of all tables, by the names that light them up and by their place.
class Board {
  constructor() {
    this.lit = new Map();
    this.sheet = new Map(); // the cells of the sheets, by their place on the canvas
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

// The views of one setting, and what they need, worked out once.
class Views {
  constructor(a, { x, y, w }, words, counted) {
    Object.assign(this, { a, x, y, w, words, counted });
    this.axes = axes(a);
    this.sizes = this.axes.map(inSize);
    this.canvasSizes = this.axes.map(canvasSize);
    this.shapes = shapes(a);
    this.links = links(a);
    this.z = result(a, y, w, this.links);
    this.forward = forward(a, x, w, this.links);
    this.gradient = kernelGradient(a, x, y, this.links);
    this.board = new Board();
    this.sheets = []; // each group's sheets
    this.onlyStamp = null; // the one stamp that is drawn where all would be too many
    this.taps = count(this.shapes.w);
    const divisor = { x: common(x), y: common(y), w: common(w) };
    // The denominator that divides each kind of product, and so each of their sums.
    this.over = { ...divisor, z: divisor.y * divisor.w, Cx: divisor.x * divisor.w, dw: divisor.x * divisor.y };
    this.counts = Array(this.z.length).fill(0);
    this.byPlace = new Map();
    this.byEntry = new Map();
    for (const link of this.links) {
      if (link.z >= 0) this.counts[link.z] += 1;
      this.byPlace.set(`${link.y},${link.c}`, link);
      const entry = `${link.z},${link.y}`;
      if (link.z >= 0) this.byEntry.set(entry, [...this.byEntry.get(entry) || [], link]);
    }
    this.canvas = this.sheetAfter(y.length).sums;
  }

  // What is added, with its sign.
  step(kind, value) {
    return `+${this.text(kind, value)}`.replace("+-", "−");
  }

  // What lies on the sheet after so many stamps, and which of its places they have reached.
  sheetAfter(stamps) {
    const sums = Array(count(this.shapes.canvas)).fill(0), reached = new Set();
    for (const link of this.links) {
      if (link.y >= stamps) continue;
      sums[link.c] += this.y[link.y] * this.w[link.w];
      reached.add(link.c);
    }
    return { sums, reached };
  }

  // A number of this kind as text: whole, or a fraction.
  text(kind, value) {
    return written(value, this.over[kind]);
  }

  // y(0,1), and y(2,0,1) where there are channels to tell apart.
  name(letter, index) {
    const shape = this.shapes[LIKE[letter] || letter], spatial = shape.length - this.a.dimension;
    const place = unravel(index, shape).filter((_, n) => n >= spatial || shape[n] > 1);
    return `${letter}(${place.join(",")})`;
  }

  // What a row or column of C.T is called: 3, (0,1) or (2,0,1).
  label(letter, index) {
    return this.name(letter, index).slice(letter.length).replace(/^\((\d+)\)$/, "$1");
  }

  // The channels of y or z in a group.
  channels(letter, g) {
    return ofGroup(g, this.shapes[LIKE[letter] || letter][0], this.a);
  }
  groupOf(letter, index) {
    const shape = this.shapes[LIKE[letter] || letter];
    return groupOf(unravel(index, shape)[0], shape[0], this.a);
  }

  // A sheet for each channel of a group, one upon the other, and a kernel for each pair of channels.
  stack(letter, g, sheet) {
    const all = this.channels(letter, g).map((channel) => sheet(channel));
    return all.length > 1 ? make("div", { class: "stack" }, ...all) : all[0];
  }
  kernels(g, sheet) {
    const across = this.shapes.w[1];
    const rows = this.channels("y", g).map((o) => range(across).map((c) => sheet(o, c)));
    if (rows.length * across === 1) return rows[0][0];
    return make("div", { class: "kernels", style: `--across:${across}` }, ...rows.flat());
  }
  // What a sheet is called: y, and y 1 if there are several.
  called(name, channels, ...own) {
    return [name, own.filter((_, n) => channels[n] > 1).join(",")].filter(Boolean).join(" ");
  }

  // The element of z to which a place of the canvas belongs, or -1 where padding cuts it off; and
  // whether the place is in the padding.
  keptAt(c) {
    const [g, ...at] = unravel(c, this.shapes.canvas);
    const own = at.map((place, n) => place - this.axes[n].low);
    const j = own.map((place, n) => source(this.a.padding_mode, place, this.sizes[n]));
    const z = j.every((place) => place >= 0) ? ravel([g, ...j], this.shapes.z) : -1;
    return { z, off: z < 0 || String(own) !== String(j) };
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
    if (spec.sheet !== undefined) {
      this.board.sheet.set(spec.sheet, cell);
      this.board.specs.set(cell, spec);
    }
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

  // One channel of an array of these sizes: `spec` is asked with coordinates.
  plane(id, label, sizes, spec, options) {
    const [down, across] = this.a.dimension === 1 ? [1, ...sizes] : sizes;
    const rows = range(down).map((r) => range(across)
      .map((c) => spec(this.a.dimension === 1 ? [c] : [r, c])));
    return this.table(id, label, rows, options);
  }

  // -- the grids of y, w and z -----------------------------------------------------------------------

  // A channel of x or y, or one kernel of w, whose values can be changed; x has the places of z.
  input(letter, channels, kind = letter) {
    const like = LIKE[letter] || letter, shape = this.shapes[like];
    const sizes = shape.slice(channels.length), all = shape.slice(0, channels.length);
    return this.plane(kind + ravel(channels, all), this.called(letter, all, ...channels), sizes, (place) => {
      const index = ravel([...channels, ...place], shape), text = this.text(letter, this[letter][index]);
      return {
        text, pick: { kind: letter, [like]: index, [letter]: index },
        keys: [...new Set([`${like}${index}`, `${letter}${index}`])],
        label: `${this.name(letter, index)} = ${text}`, edit: { letter, index },
        tap: letter === "w" ? index : undefined, kind: letter === "w" ? "tap" : "",
      };
    }, { kind: this.small(sizes) });
  }
  inputs(letter, g, kind = letter) {
    return letter === "w" ? this.kernels(g, (...pair) => this.input("w", pair, kind))
      : this.stack(letter, g, (channel) => this.input(letter, [channel], kind));
  }

  outputs(g, kind = "z", caption = "z", gives = "") {
    const most = Math.max(...this.counts, 1), counted = this.counted && kind === "z";
    return this.stack("z", g, (channel) => this.plane(
      `${kind}${channel}`, this.called(caption, this.shapes.z.slice(0, 1), channel) + gives, this.sizes, (place) => {
        const z = ravel([channel, ...place], this.shapes.z), value = this.text("z", this.z[z]);
        return {
          text: counted ? String(this.counts[z]) : value, pick: { kind: "z", z },
          keys: kind === "dx" ? [`z${z}`, `dx${z}`] : [`z${z}`],
          label: `${this.name("z", z)} = ${value}`, kind: counted ? "counted" : "",
          style: counted ? `--share:${Math.round(45 * this.counts[z] / most)}%` : undefined,
        };
      }, { kind: this.small(this.sizes) }));
  }

  // Larger canvases get smaller cells.
  small(sizes) {
    const most = Math.max(...sizes);
    return most > 12 ? "tiny" : most > 7 ? "small" : "";
  }

  group(g, ...parts) {
    const title = this.a.groups > 1
      ? make("p", { class: "group" }, this.words.group(g)) : null;
    return make("div", { class: "block" }, title, make("div", { class: "row" }, ...parts));
  }

  grids() {
    const pairs = this.a.groups === 1 && this.shapes.w[0] * this.shapes.w[1] > 1;
    const notes = pairs ? [make("p", { class: "note" }, this.words.pairs)] : [];
    return range(this.a.groups).map((g) => this.group(
      g, this.inputs("y", g), this.sign("⋆", this.words.operation), this.inputs("w", g), this.sign("→"),
      this.outputs(g),
    )).concat(notes);
  }

  // A sign, and below it the operation that it stands for, a word a line.
  sign(text, said = "") {
    const words = said.split(" ").filter(Boolean).map((word) => make("span", { class: "said" }, word));
    return make("span", { class: "operation" }, make("span", { class: "sign", "aria-hidden": "true" }, text), ...words);
  }

  // -- stamps ----------------------------------------------------------------------------------------

  stamp(y) {
    const name = this.name("y", y), pairs = this.shapes.w.slice(0, 2), [o] = unravel(y, this.shapes.y);
    return this.stack("z", this.groupOf("y", y), (channel) => this.plane(
      pairs[1] > 1 ? `s${y}-${channel}` : `s${y}`, `${name} = ${this.text("y", this.y[y])}`,
      this.canvasSizes, (place) => {
        const c = ravel([channel, ...place], this.shapes.canvas), link = this.byPlace.get(`${y},${c}`);
        const off = this.keptAt(c).off ? " off" : "";
        if (!link) return { text: "", pick: { kind: "y", y }, kind: `empty${off}`, label: name };
        const product = this.text("z", this.y[y] * this.w[link.w]);
        const kept = link.z >= 0;
        return {
          text: product, tap: link.w, kind: `tap${off}`, keys: [`s${y},${c}`],
          pick: { ...link, kind: kept ? "entry" : "off" },
          label: `${name}·${this.name("w", link.w)} = ${product}`,
        };
      }, { caption: this.called(`${name}·w`, pairs, o, channel % pairs[1]),
        kind: `stamp ${this.small(this.canvasSizes)}`, alone: false }));
  }

  // The sheets on which the stamps of a group are put down.
  sheet(g) {
    const folds = this.a.padding_mode !== "zeros", caption = this.words[folds ? "unfolded" : "sum"];
    return this.stack("z", g, (channel) => this.plane(
      `sum${channel}`, this.called(caption, this.shapes.z.slice(0, 1), channel), this.canvasSizes, (place) => {
        const c = ravel([channel, ...place], this.shapes.canvas), { z, off } = this.keptAt(c);
        const text = this.text("z", this.canvas[c]);
        if (z < 0) return { text, kind: "off", sheet: c };
        return { text, pick: { kind: "z", z }, keys: [`z${z}`], kind: off ? "off" : "total", sheet: c,
          label: folds ? text : `${this.name("z", z)} = ${text}` };
      }, { kind: `sheet ${this.small(this.canvasSizes)}`, alone: false }));
  }

  // All stamps, or where they are too many the one that is looked at.
  stamps(shown) {
    const one = this.y.length * this.canvas.length / this.a.groups > MOST_ENTRIES;
    const blocks = range(this.a.groups).map((g) => {
      const own = range(this.y.length).filter((y) => this.groupOf("y", y) === g && (!one || y === shown));
      const sheet = this.sheet(g), drawn = own.map((y) => this.stamp(y));
      this.sheets[g] = sheet;
      if (one && drawn.length) [this.onlyStamp] = drawn;
      return this.group(g, sheet, ...drawn);
    });
    const holder = make("div", {}, ...blocks);
    holder.dataset.scope = "stamps";
    const notes = [];
    if (one) notes.push(this.words.oneStamp(this.name("y", shown))); // the first of the notes
    if (this.links.some((link) => link.z < 0)) notes.push(this.words.cut);
    if (this.a.padding_mode !== "zeros") notes.push(this.words.folded);
    return [holder, ...notes.map((note) => make("p", { class: "note" }, note))];
  }

  // Where one stamp is drawn for all, that of another element in its place.
  bringStamp(y) {
    if (!this.onlyStamp) return;
    const next = this.stamp(y), holder = this.onlyStamp.closest("[data-scope]");
    this.onlyStamp.remove();
    this.sheets[this.groupOf("y", y)].after(next);
    holder.nextSibling.textContent = this.words.oneStamp(this.name("y", y));
    this.onlyStamp = next;
  }

  // -- the matrix ------------------------------------------------------------------------------------

  entry(z, y) {
    const [link, ...more] = this.byEntry.get(`${z},${y}`) || [];
    const at = { z, y, kind: more.length ? "several" : link ? "entry" : "nothing" };
    const keys = [`e${z},${y}`, `row${z}`, `column${y}`];
    const apart = this.groupOf("z", z) !== this.groupOf("y", y);
    // A line before the first row and column of a channel.
    const [below, beside] = [[z, "z"], [y, "y"]].map(([index, letter]) => index > 0
      && index % count(this.shapes[letter].slice(1)) === 0);
    const blocks = `${apart ? " apart" : ""}${below ? " below" : ""}${beside ? " beside" : ""}`;
    if (!link) return { text: "·", pick: at, keys, kind: `none${blocks}`, label: "0" };
    const all = [link, ...more], text = this.text("w", all.reduce((sum, one) => sum + this.w[one.w], 0));
    const label = `${all.map((one) => this.name("w", one.w)).join(" + ")} = ${text}`;
    return { text, tap: link.w, kind: `tap${blocks}`, keys, pick: more.length ? at : { ...link, ...at }, label };
  }

  matrix() {
    const [rows, columns] = [this.z.length, this.y.length];
    if (rows * columns > MOST_ENTRIES) {
      return [make("p", { class: "note" }, this.words.tooLarge(rows, columns))];
    }
    const short = (letter, index) => this.label(letter, index).replace(/[()]/g, "");
    const head = [{ text: "z \\ y", kind: "corner" }, ...range(columns).map((y) => ({
      text: short("y", y), header: "col", pick: { kind: "y", y }, keys: [`y${y}`],
      label: `${this.name("y", y)} = ${this.text("y", this.y[y])}`,
    })), { text: "z", kind: "corner" }];
    const body = range(rows).map((z) => [
      { text: short("z", z), header: "row", pick: { kind: "z", z }, keys: [`z${z}`],
        label: this.name("z", z) },
      ...range(columns).map((y) => this.entry(z, y)),
      { text: this.text("z", this.z[z]), pick: { kind: "z", z }, keys: [`z${z}`], kind: "total",
        label: `${this.name("z", z)} = ${this.text("z", this.z[z])}` },
    ]);
    const kind = `matrix ${rows > 26 ? "small" : ""}`;
    return [this.table("matrix", "C.T", [head, ...body], { kind, caption: "" })];
  }

  // -- zero insertion --------------------------------------------------------------------------------

  flipped(g) {
    const spans = this.axes.map(span), channels = this.shapes.w.slice(0, 2);
    return this.kernels(g, (o, c) => this.plane(
      `f${o * channels[1] + c}`, this.called(this.words.flipped, channels, o, c), spans, (place) => {
        const t = place.map((at, n) => (spans[n] - 1 - at) / this.axes[n].dilation);
        if (!t.every(Number.isInteger)) return { text: "·", kind: "none" };
        const w = ravel([o, c, ...t], this.shapes.w), text = this.text("w", this.w[w]);
        return { text, tap: w, kind: "tap", pick: { kind: "w", w }, keys: [`w${w}`],
          label: `${this.name("w", w)} = ${text}` };
      }, { kind: this.small(spans) }));
  }

  padded(g) {
    const lines = this.axes.map(inserted), sizes = lines.map((line) => line.length);
    return this.stack("y", g, (channel) => this.plane(`u${channel}`, "y, 0", sizes, (place) => {
      const ends = place.map((at, n) => lines[n][at]);
      const key = `u${[channel, ...ends.map((end) => end.at)].join(",")}`;
      const kind = ["border", "zero", "y"].find((name) => ends.some((end) => end.kind === name));
      const read = ends.every((end) => end.read) ? "" : " unread";
      if (kind !== "y") {
        return { text: "0", kind: kind + read, pick: { kind }, keys: [key], label: "0" };
      }
      const y = ravel([channel, ...ends.map((end) => end.i)], this.shapes.y), text = this.text("y", this.y[y]);
      return { text, kind: `value${read}`, keys: [key, `y${y}`],
        pick: { kind: read ? "unread" : "y", y }, label: `${this.name("y", y)} = ${text}` };
    }, { caption: this.shapes.y[0] > 1 ? `y ${channel}` : "y, 0", kind: this.small(sizes) }));
  }

  zeros() {
    const ends = this.axes.map(borders), notes = [this.words.zerosNote(this.axes, ends)];
    if (ends.some(([before]) => before < 0)) notes.push(this.words.negative);
    const blocks = range(this.a.groups).map((g) => this.group(
      g, this.flipped(g), this.sign("∗", this.words.convolution), this.padded(g), this.sign("→"),
      this.outputs(g, "zz"),
    ));
    return [...blocks, ...notes.map((note) => make("p", { class: "note" }, note))];
  }

  // -- the convolution and its gradients -------------------------------------------------------------

  // The convolution of x, and what comes back if y is the gradient of its output.
  gradients() {
    const { words } = this;
    const sum = (kind, caption, values) => (...channels) => {
      const like = LIKE[kind], shape = this.shapes[like], all = shape.slice(0, channels.length);
      const sizes = shape.slice(channels.length);
      return this.plane(kind + ravel(channels, all), this.called(caption, all, ...channels), sizes, (place) => {
        const index = ravel([...channels, ...place], shape), text = this.text(kind, values[index]);
        return { text, pick: { kind, [like]: index, [kind]: index }, keys: [`${like}${index}`, `${kind}${index}`],
          kind: "total", label: `${this.name(kind, index)} = ${text}` };
      }, { kind: this.small(sizes) });
    };
    const forward = (g) => this.stack("y", g, sum("Cx", "C x", this.forward));
    const kernel = (g) => this.kernels(g, sum("dw", "dw", this.gradient));
    const [times, gives] = [["∗", words.convolution], ["→"]].map((sign) => () => this.sign(...sign));
    return [...range(this.a.groups).flatMap((g) => [
      this.group(g, this.inputs("x", g), times(), this.inputs("w", g, "gw"), gives(), forward(g)),
      this.group(g, this.inputs("y", g, "gy"), gives(), this.outputs(g, "dx", "dx", " = C.T y"), kernel(g)),
    ]), make("p", { class: "note" }, words.gradientNote)];
  }
}
