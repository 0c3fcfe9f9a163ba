// The views as tables. A cell knows what it stands for (`pick`) and under which names it lights
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

// A picture of one setting: what every view needs, worked out once.
class Picture {
  constructor(a, { x, y, w }, words, shows) {
    Object.assign(this, { a, x, y, w, words, shows });
    this.axes = axes(a);
    this.sizes = this.axes.map(inSize);
    this.canvasSizes = this.axes.map(canvasSize);
    this.shapes = shapes(a);
    this.links = links(a);
    this.z = result(a, y, w, this.links);
    this.forward = forward(a, x, w, this.links);
    this.gradient = kernelGradient(a, x, y, this.links);
    this.board = new Board();
    this.sheets = []; // the table of each group's sheet
    this.onlyStamp = null; // the table of the one stamp that is drawn where all would be too many
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
    const place = unravel(index, this.shapes[LIKE[letter] || letter]);
    return `${letter}(${(this.a.groups > 1 ? place : place.slice(1)).join(",")})`;
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

  // x, y or w, whose values can be changed; x has the places of z.
  inputs(letter, g, id = `${letter}${g}`) {
    const like = LIKE[letter] || letter;
    const sizes = { x: this.sizes, y: this.a.out_size, w: this.a.kernel }[letter];
    return this.plane(id, letter, sizes, (place) => {
      const index = ravel([g, ...place], this.shapes[like]), text = this.text(letter, this[letter][index]);
      return {
        text, pick: { kind: letter, [like]: index, [letter]: index },
        keys: [...new Set([`${like}${index}`, `${letter}${index}`])],
        label: `${this.name(letter, index)} = ${text}`, edit: { letter, index },
        tap: letter === "w" ? index : undefined, kind: letter === "w" ? "tap" : "",
      };
    }, { kind: this.small(sizes) });
  }

  output(g, id = `z${g}`, caption = "z") {
    const most = Math.max(...this.counts, 1), counted = this.shows === "counts";
    return this.plane(id, caption, this.sizes, (place) => {
      const z = ravel([g, ...place], this.shapes.z), value = this.text("z", this.z[z]);
      return {
        text: counted ? String(this.counts[z]) : value, pick: { kind: "z", z },
        keys: id.startsWith("dx") ? [`z${z}`, `dx${z}`] : [`z${z}`],
        label: `${this.name("z", z)} = ${value}`, kind: counted ? "counted" : "",
        style: counted ? `--share:${Math.round(45 * this.counts[z] / most)}%` : undefined,
      };
    }, { kind: this.small(this.sizes) });
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
    return range(this.a.groups).map((g) => this.group(
      g, this.inputs("y", g), this.sign("⋆"), this.inputs("w", g), this.sign("→"), this.output(g),
    ));
  }

  sign(text) {
    return make("span", { class: "sign", "aria-hidden": "true" }, text);
  }

  // -- stamps ----------------------------------------------------------------------------------------

  stamp(y) {
    const [g] = unravel(y, this.shapes.y), name = this.name("y", y);
    return this.plane(`s${y}`, `${name} = ${this.text("y", this.y[y])}`, this.canvasSizes, (place) => {
      const c = ravel([g, ...place], this.shapes.canvas), link = this.byPlace.get(`${y},${c}`);
      const off = this.keptAt(c).off ? " off" : "";
      if (!link) return { text: "", pick: { kind: "y", y }, kind: `empty${off}`, label: name };
      const product = this.text("z", this.y[y] * this.w[link.w]);
      const kept = link.z >= 0;
      return {
        text: product, tap: link.w, kind: `tap${off}`, keys: [`s${y},${c}`],
        pick: { ...link, kind: kept ? "entry" : "off" },
        label: `${name}·${this.name("w", link.w)} = ${product}`,
      };
    }, {
      caption: `${name}·w`, kind: `stamp ${this.small(this.canvasSizes)}`, alone: false,
    });
  }

  // The sheet on which the stamps of a group are put down.
  sheet(g) {
    const folds = this.a.padding_mode !== "zeros";
    return this.plane(`sum${g}`, this.words[folds ? "unfolded" : "sum"], this.canvasSizes, (place) => {
      const c = ravel([g, ...place], this.shapes.canvas), { z, off } = this.keptAt(c);
      const text = this.text("z", this.canvas[c]);
      if (z < 0) return { text, kind: "off", sheet: c };
      return { text, pick: { kind: "z", z }, keys: [`z${z}`], kind: off ? "off" : "total", sheet: c,
        label: folds ? text : `${this.name("z", z)} = ${text}` };
    }, { kind: `sheet ${this.small(this.canvasSizes)}`, alone: false });
  }

  // All stamps, or where they are too many the one that is looked at.
  stamps(shown) {
    const all = this.y.length * this.canvas.length / this.a.groups;
    const one = all > MOST_ENTRIES;
    const blocks = range(this.a.groups).map((g) => {
      const own = range(this.y.length).filter((y) => unravel(y, this.shapes.y)[0] === g)
        .filter((y) => !one || y === shown);
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
    this.sheets[unravel(y, this.shapes.y)[0]].after(next);
    holder.nextSibling.textContent = this.words.oneStamp(this.name("y", y));
    this.onlyStamp = next;
  }

  // -- the matrix ------------------------------------------------------------------------------------

  entry(z, y) {
    const [link, ...more] = this.byEntry.get(`${z},${y}`) || [];
    const at = { z, y, kind: more.length ? "several" : link ? "entry" : "nothing" };
    const keys = [`e${z},${y}`, `row${z}`, `column${y}`];
    const [row, column] = [unravel(z, this.shapes.z)[0], unravel(y, this.shapes.y)[0]];
    const blocks = row === column ? "" : " apart";
    if (!link) return { text: "·", pick: at, keys, kind: `none${blocks}`, label: "0" };
    const all = [link, ...more], text = this.text("w", all.reduce((sum, one) => sum + this.w[one.w], 0));
    const label = `${all.map((one) => this.name("w", one.w)).join(" + ")} = ${text}`;
    return { text, tap: link.w, kind: "tap", keys, pick: more.length ? at : { ...link, ...at }, label };
  }

  matrix() {
    const [rows, columns] = [this.z.length, this.y.length];
    if (rows * columns > MOST_ENTRIES) {
      return [make("p", { class: "note" }, this.words.tooLarge(rows, columns))];
    }
    const short = (letter, index) => this.name(letter, index).slice(2, -1);
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
    const spans = this.axes.map(span);
    return this.plane(`f${g}`, this.words.flipped, spans, (place) => {
      const t = place.map((at, n) => (spans[n] - 1 - at) / this.axes[n].dilation);
      if (!t.every(Number.isInteger)) return { text: "·", kind: "none" };
      const w = ravel([g, ...t], this.shapes.w), text = this.text("w", this.w[w]);
      return { text, tap: w, kind: "tap", pick: { kind: "w", w }, keys: [`w${w}`],
        label: `${this.name("w", w)} = ${text}` };
    }, { kind: this.small(spans) });
  }

  padded(g) {
    const lines = this.axes.map(inserted), sizes = lines.map((line) => line.length);
    return this.plane(`u${g}`, "y, 0", sizes, (place) => {
      const ends = place.map((at, n) => lines[n][at]);
      const key = `u${[g, ...ends.map((end) => end.at)].join(",")}`;
      const kind = ["border", "zero", "y"].find((name) => ends.some((end) => end.kind === name));
      const read = ends.every((end) => end.read) ? "" : " unread";
      if (kind !== "y") {
        return { text: "0", kind: kind + read, pick: { kind }, keys: [key], label: "0" };
      }
      const y = ravel([g, ...ends.map((end) => end.i)], this.shapes.y), text = this.text("y", this.y[y]);
      return { text, kind: `value${read}`, keys: [key, `y${y}`],
        pick: { kind: read ? "unread" : "y", y }, label: `${this.name("y", y)} = ${text}` };
    }, { caption: "y, 0", kind: this.small(sizes) });
  }

  zeros() {
    const ends = this.axes.map(borders), notes = [this.words.zerosNote(this.axes, ends)];
    if (ends.some(([before]) => before < 0)) notes.push(this.words.negative);
    const blocks = range(this.a.groups).map((g) => this.group(
      g, this.flipped(g), this.sign("∗"), this.padded(g), this.sign("→"), this.output(g, `zz${g}`),
    ));
    return [...blocks, ...notes.map((note) => make("p", { class: "note" }, note))];
  }

  // -- the convolution and its gradients -------------------------------------------------------------

  // The convolution of x, and what comes back if y is the gradient of its output.
  gradients() {
    const { words } = this;
    const sum = (kind, like, sizes, caption, values) => (g) => this.plane(`${kind}${g}`, caption, sizes, (place) => {
      const index = ravel([g, ...place], this.shapes[like]), text = this.text(kind, values[index]);
      return { text, pick: { kind, [like]: index, [kind]: index }, keys: [`${like}${index}`, `${kind}${index}`],
        kind: "total", label: `${this.name(kind, index)} = ${text}` };
    }, { kind: this.small(sizes) });
    const forward = sum("Cx", "y", this.a.out_size, "C x", this.forward);
    const kernel = sum("dw", "w", this.a.kernel, "dw", this.gradient);
    const [times, gives] = ["∗", "→"].map((text) => () => this.sign(text));
    return [...range(this.a.groups).flatMap((g) => [
      this.group(g, this.inputs("x", g), times(), this.inputs("w", g, `gw${g}`), gives(), forward(g)),
      this.group(g, this.inputs("y", g, `gy${g}`), gives(), this.output(g, `dx${g}`, "dx = C.T y"), kernel(g)),
    ]), make("p", { class: "note" }, words.gradientNote)];
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
    const own = "yzw".includes(pick.kind) ? `${pick.kind}${pick[pick.kind]}` : "";
    for (const link of found) {
      const keys = [`y${link.y}`, `w${link.w}`, `s${link.y},${link.c}`];
      if (link.z >= 0) keys.push(`z${link.z}`, `e${link.z},${link.y}`);
      pairs.push(...keys.filter((key) => key !== own).map((key) => [key, link.w]));
    }
    return pairs;
  }

  // A selection of another picture, if this one has its places.
  carried(pick, from) {
    const letters = {
      entry: "yw", off: "yw", nothing: "zy", several: "zy", y: "y", z: "z", w: "w", ...LIKE,
    }[pick.kind];
    const found = { kind: pick.kind };
    for (const letter of letters || "") {
      const place = unravel(pick[letter], from.shapes[letter]), shape = this.shapes[letter];
      if (place.length !== shape.length || place.some((at, n) => at >= shape[n])) return null;
      found[letter] = ravel(place, shape);
    }
    if (LIKE[pick.kind]) found[pick.kind] = found[letters];
    if (!letters || letters.length === 1) return letters ? found : null;
    const link = this.links.find((one) => [...letters].every((name) => one[name] === found[name]));
    if (!link) return { ...found, kind: "nothing" };
    if (link.z < 0) return { ...link, kind: "off" };
    const several = this.byEntry.get(`${link.z},${link.y}`).length > 1;
    return several ? { z: link.z, y: link.y, kind: "several" } : { ...link, kind: "entry" };
  }

  // The places under the flipped kernel while it gives an element of z.
  window(z) {
    const j = unravel(z, this.shapes.z);
    return windowAt(this.a, j).map(({ w, at }) => [`u${[j[0], ...at].join(",")}`, w]);
  }

  // What each cell is given, as classes and style, while a selection is lit and so many stamps lie on
  // the sheet, the last of which has just been put down.
  looks(pick, built = null) {
    const found = new Map();
    const give = (cell, kind, style = "", note = "") => {
      const look = found.get(cell) || { kinds: new Set(), style: "", note: "" };
      kind.split(" ").forEach((one) => look.kinds.add(one));
      found.set(cell, { kinds: look.kinds, style: style || look.style, note: note || look.note });
    };
    const each = (key, ...look) => (this.board.lit.get(key) || []).forEach((cell) => give(cell, ...look));
    if (!pick) return found;
    for (const [key, tap] of this.lights(pick)) each(key, "lit", this.colours(tap));
    if (pick.kind === "z" || pick.kind === "entry") {
      for (const [key, tap] of this.window(pick.z)) {
        each(key, "lit under", this.colours(tap), `×${this.text("w", this.w[tap])}`);
      }
    }
    if (pick.kind === "y") {
      for (const link of this.linksOf(pick)) {
        if (link.z < 0) continue;
        each(`dx${link.z}`, "under", "", this.step("z", this.y[pick.y] * this.w[link.w]));
        each(`dw${link.w}`, "under", "", this.step("dw", this.y[pick.y] * this.x[link.z]));
      }
    }
    if (built) {
      for (const link of this.links.filter(({ y }) => y === built - 1)) {
        give(this.board.sheet.get(link.c), `lit under landing${built % 2}`, this.colours(link.w),
          this.step("z", this.y[link.y] * this.w[link.w]));
      }
    }
    if (pick.kind === "z") each(`row${pick.z}`, "band");
    if (pick.kind === "y") each(`column${pick.y}`, "band");
    for (const key of this.ownKeys(pick)) each(key, "chosen");
    return found;
  }

  ownKeys(pick) {
    if (pick.kind === "entry") return [`e${pick.z},${pick.y}`, `s${pick.y},${pick.c}`];
    if (pick.kind === "nothing" || pick.kind === "several") return [`e${pick.z},${pick.y}`];
    if (pick.kind === "off") return [`s${pick.y},${pick.c}`];
    return pick[pick.kind] === undefined ? [] : [pick.kind + pick[pick.kind]];
  }

  // One sentence on a selection.
  sentence(pick) {
    const { words } = this, found = this.linksOf(pick);
    const name = (letter) => this.name(letter, pick[letter]);
    const value = (letter, index = pick[letter]) => this.text(letter, this[letter][index]);
    const kept = found.filter((link) => link.z >= 0).length, cut = found.length - kept;
    const product = () => this.text("z", this.y[pick.y] * this.w[pick.w]);
    switch (pick.kind) {
      case "z": return words.z(
        name("z"), found.map((link) => `${this.name("y", link.y)}·${this.name("w", link.w)}`),
        found.map((link) => `${factor(value("y", link.y))}·${factor(value("w", link.w))}`), value("z"), pick.z);
      case "y": return words.y(name("y"), value("y"), kept, cut, pick.y);
      case "w": return words.w(name("w"), value("w"), kept, cut);
      case "entry": return words.entry(name("z"), name("y"), name("w"), value("w"), product(), pick.z, pick.y);
      case "several": return words.several(name("z"), name("y"),
        found.map((link) => this.name("w", link.w)).join(" + "),
        this.text("w", found.reduce((sum, link) => sum + this.w[link.w], 0)), pick.z, pick.y);
      case "off": return words.off(name("y"), name("w"), product());
      case "nothing": {
        const apart = unravel(pick.z, this.shapes.z)[0] !== unravel(pick.y, this.shapes.y)[0];
        return words[apart ? "blocks" : "nothing"](name("z"), name("y"), pick.z, pick.y);
      }
      case "unread": return words.unread(name("y"));
      case "x": return words.x(name("x"), value("x"), kept, this.name("z", pick.z), this.text("z", this.z[pick.z]));
      case "Cx": case "dw": {
        const letters = pick.kind === "Cx" ? ["x", "w"] : ["y", "x"];
        const products = (say) => found.filter((link) => link.z >= 0)
          .map((link) => letters.map((letter) => say(letter, link[LIKE[letter] || letter])).join("·"));
        return words[pick.kind](
          name(pick.kind), products((...at) => this.name(...at)), products((...at) => factor(value(...at))),
          this.text(pick.kind, pick.kind === "Cx" ? this.forward[pick.Cx] : this.gradient[pick.dw]),
          this.name(LIKE[pick.kind], pick[LIKE[pick.kind]]));
      }
      default: return words[pick.kind];
    }
  }
}
