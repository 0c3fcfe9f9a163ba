// The element <tconv-explorer>: what its controls change, what is pointed at and kept, and the address.

const TAG = "tconv-explorer";
// Views that are shown whenever there are any.
const ALWAYS = ["compared", "counts"];

// Of several elements that share, the first one has the address.
let sharing = null;

class Explorer extends Controls {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.watched = new AbortController();
    const { signal } = this.watched;
    const follow = () => followTheme(this);
    this.theme = new MutationObserver(follow);
    for (const part of [document.documentElement, document.body]) {
      this.theme.observe(part, {
        attributes: true, attributeFilter: ["class", "style", "data-md-color-scheme", "data-theme"],
      });
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow, { signal });
    addEventListener("resize", follow, { signal });
    if (this.hasAttribute("share") && !sharing) {
      sharing = this;
      addEventListener("popstate", () => this.readAddress(), { signal });
      if (this.readAddress()) this.scrollIntoView({ block: "nearest" });
    }
    this.link.hidden = sharing !== this;
    follow();
  }

  disconnectedCallback() {
    this.watched.abort();
    this.theme.disconnect();
    this.stop();
    if (sharing === this) sharing = null;
  }

  // -- building --------------------------------------------------------------------------------------

  build() {
    const wanted = (this.getAttribute("lang") || "en").toLowerCase().slice(0, 2);
    this.words = WORDS[wanted] || WORDS.en;
    this.values = new Map(); // by place, so that a value comes back with its cell
    this.notices = [];
    const texts = {};
    for (const name of NAMES) texts[name] = this.getAttribute(name.replace("_", "-"));
    this.first = texts;
    this.parts = this.getAttribute("parts")?.split(/[\s,]+/);
    const root = this.attachShadow({ mode: "open" });
    this.notice = make("p", { class: "notice", role: "status" });
    this.size = make("p", { class: "formula" });
    this.shown = make("div", { class: "views" });
    this.folded = make("div", { class: "views" });
    this.views = make("div", {}, this.shown);
    const controls = this.buildControls(), above = [this.size];
    if (this.parts) {
      if (!this.parts.includes("sizes")) this.more.append(...above.splice(0));
      this.more.append(this.folded);
      this.more.addEventListener("toggle", () => this.draw());
      this.views.append(this.more);
    } else controls.append(this.more);
    root.append(make("style", {}, STYLE), controls, ...above, this.notice, this.buildTold(), this.views);
    this.views.lang = root.host.lang || "en";
    this.buildPlayer();
    this.photo = new Photo(this.words);
    this.listen();
    this.take(texts);
  }

  // -- the setting -----------------------------------------------------------------------------------

  // A new setting from texts that others wrote, the element's own attributes included.
  take(texts) {
    const { setting: a, layer, refused, ...values } = readSetting(texts);
    this.setting = a;
    this.layer = layer;
    this.counts = typeof texts.counts === "string";
    this.stop();
    this.values.clear();
    for (const letter of ["x", "y", "w"]) if (values[letter]) this.setValues(letter, values[letter]);
    this.notices = refused.map((one) => (one.count ? this.words.refusedList(one.name, one.count)
      : one.name === "layer" ? this.words.refusedLayer
      : one.choices ? this.words.refusedChoice(this.words.controls[one.name], one.choices)
        : this.words.refused(this.words.controls[one.name], one.least, one.most)));
    this.pinned = this.pointed = this.built = null;
    this.unfold();
    this.draw();
  }

  // A reader's own change: numbers, or lists with an entry for each axis. The setting stays that of the
  // pasted layer until its channels or groups are others.
  change(changes, notices = [], layer = null) {
    this.setting = setting({ ...this.setting, ...this.channelsFor(changes), ...changes });
    if (layer || ["groups", ...CHANNELS].some((name) => name in changes)) this.layer = layer;
    this.notices = notices;
    this.example.value = "";
    this.pointed = this.built = null;
    this.stop();
    this.draw();
  }

  // Other groups take the channels that they can divide: one each if it was one each before.
  channelsFor({ groups, in_channels }) {
    const { setting: a } = this, each = CHANNELS.every((name) => a[name] === a.groups);
    if (!groups || in_channels) return {};
    return Object.fromEntries(CHANNELS.map((name) => [name, each ? groups : groups * Math.ceil(a[name] / groups)]));
  }

  changeTo(name, text) {
    const list = readNumbers(name, text), { least, most } = RANGES[name];
    const takes = list && list.length <= this.setting.dimension;
    if (takes) this.change({ [name]: PER_AXIS.includes(name) ? list : list[0] });
    else {
      this.notices = [this.words.refused(this.words.controls[name], least, most)];
      this.draw();
    }
    this.keep();
  }

  // The settings of a layer in a line of Python; the size of y, which no layer has, stays.
  readLine(text) {
    if (!text.trim()) return;
    const { words } = this, { why, numbers, layer, ...about } = readLayer(text, this.setting.out_size);
    if (why) {
      this.notices = [words.notRead[why](about)];
      this.draw();
    } else {
      const out_size = fitted(this.setting.out_size, numbers.dimension);
      this.change({ ...numbers, out_size }, [words.read], layer);
    }
    this.keep();
  }

  setKernel(name) {
    if (name && !drawable(this.setting)) return;
    if (!name) for (const key of this.values.keys()) if (key.startsWith("w")) this.values.delete(key);
    if (name && name !== "own") this.setValues("w", preset(name, this.setting));
    this.draw();
    this.keep();
  }

  setValues(letter, list) {
    list.forEach((value, index) => this.values.set(this.place(letter, index), value));
  }

  place(letter, index) {
    return letter + unravel(index, shapes(this.setting)[LIKE[letter] || letter]).join();
  }

  // Keeps this setting to compare the next ones with, or lets go of it.
  compare() {
    this.kept = this.kept ? null : { a: this.setting, picture: this.picture };
    this.keeper.textContent = this.words.compared[this.kept ? "end" : "keep"];
    this.draw();
  }

  // What was given or typed, and else 1 to 9 over and over, from 1 on in the first sheet, from 2 in the next.
  numbers(letter) {
    const shape = shapes(this.setting)[LIKE[letter] || letter];
    const typed = (index) => this.values.get(letter + unravel(index, shape).join());
    return counting(shape, this.setting).map((one, index) => typed(index) ?? one);
  }

  // The name of the kernel's numbers among the choices.
  kernelName() {
    const w = this.numbers("w").join(), { setting: a } = this;
    if (w === counting(shapes(a).w, a).join()) return "";
    return ["ones", "tent", "sobel"].find((name) => w === preset(name, a).join())
      ?? (this.kernel.value === "random" ? "random" : "own");
  }

  edit(pick, text) {
    if (!pick || !"xyw".includes(pick.kind)) return;
    const list = readList(text);
    this.notices = list && list.length === 1 ? [] : [this.words.refusedValue];
    if (!this.notices.length) this.values.set(this.place(pick.kind, pick[pick.kind]), list[0]);
    this.draw();
    this.keep();
  }

  // -- the address -----------------------------------------------------------------------------------

  // The state stands in the address's fragment; only what readSetting lets through comes back.
  readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const ours = NAMES.some((name) => given.has(name));
    if (!ours && location.hash) return false; // the place of a heading
    const texts = { ...this.first };
    for (const name of NAMES) if (given.has(name)) texts[name] = given.get(name);
    // Values that were given for another size say nothing here, and the rest is left out as usual.
    const left = ["x", "y", "w", "counts", "padding_mode", "layer", ...CHANNELS];
    if (ours) for (const name of left) if (!given.has(name)) delete texts[name];
    this.take(texts);
    this.keptBy = null;
    return ours;
  }

  // The state as the fragment of an address.
  fragment() {
    const texts = { dimension: this.setting.dimension };
    for (const name of Object.keys(RANGES)) texts[name] = writeNumbers(this.setting, name);
    for (const name of CHANNELS) if (texts[name] === texts.groups) delete texts[name];
    if (this.setting.padding_mode !== MODES[0]) texts.padding_mode = this.setting.padding_mode;
    if (this.layer) texts.layer = writeLayer(this.layer);
    if (this.counts) texts.counts = "yes";
    for (const letter of drawable(this.setting) && !problem(this.setting) ? ["x", "y", "w"] : []) {
      const typed = [...this.values.keys()].some((key) => key.startsWith(letter));
      if (letter !== "x" || typed) texts[letter] = this.numbers(letter).map((value) => written(value)).join();
    }
    return `#${Object.entries(texts).map(([name, value]) => `${name}=${value}`).join("&")}`;
  }

  // One entry of the history for each visit to a slider, however many steps it takes.
  keep(by = null) {
    const hash = this.fragment();
    if (sharing !== this || hash === location.hash) return;
    history[by && by === this.keptBy ? "replaceState" : "pushState"](null, "", hash);
    this.keptBy = by;
  }

  // -- drawing ---------------------------------------------------------------------------------------

  draw() {
    const { setting: a, words } = this;
    const focused = this.shadowRoot.activeElement?.dataset.place, before = this.picture;
    const wrong = problem(a);
    this.axesOf.value = a.dimension;
    this.mode.value = a.padding_mode;
    this.counted.value = this.counts ? "counts" : "values";
    if (drawable(a) && !wrong) this.kernel.value = this.kernelName();
    if (this.whole) this.whole.href = this.getAttribute("explorer") + this.fragment();
    for (const [name, { slider, field }] of Object.entries(this.controls)) {
      const step = CHANNELS.includes(name) ? a.groups : 1, most = RANGES[name].slider[a.dimension - 1];
      Object.assign(slider, { min: Math.max(RANGES[name].least, step * RANGES[name].least), step, max: most - (most % step) });
      slider.value = [].concat(a[name]).flat()[0];
      field.value = writeNumbers(a, name);
      for (const one of [slider, field]) one.setAttribute("aria-invalid", wrong?.kind === name);
    }
    this.problem.textContent = wrong ? words.problems[wrong.kind](wrong.axis, wrong.most) : "";
    const notes = this.layer ? notShown(this.layer, a).map((one) => words.notShown[one.kind](one)) : [];
    const notice = [...this.notices, ...notes].join(words.between);
    if (this.notice.textContent !== notice) this.notice.textContent = notice; // else it would be read out again
    this.told.hidden = Boolean(wrong);
    const still = Boolean(wrong) || !drawable(a);
    for (const one of this.steps) one.disabled = still;
    for (const part of [this.size, this.shown, this.folded]) part.inert = Boolean(wrong);
    if (wrong) { // the last picture stays, greyed
      if (this.more.querySelector('[aria-invalid="true"]')) this.more.open = true;
      this.editor.hidden = true;
      return;
    }
    this.size.textContent = [words.sizes(a), words.size(axes(a)), words.relation(axes(a)),
      ...(a.padding_mode === MODES[0] ? [] : [words.copies[a.padding_mode]])].join(words.between);
    this.picture = null; // a cell that loses its focus as it goes is of no picture
    this.lit = new Map();
    for (const views of [this.shown, this.folded]) views.replaceChildren();
    if (still) this.pinned = null;
    else {
      const [x, y, w] = ["x", "y", "w"].map((letter) => this.numbers(letter));
      this.picture = new Picture(a, { x, y, w }, words, this.counts);
      if (this.pinned) this.pinned = before && this.picture.carried(this.pinned, before);
      this.sheetShows = y.length;
    }
    for (const [name, parts, ...above] of this.sections()) {
      const folds = this.parts && !this.parts.includes(name) && !ALWAYS.includes(name);
      if (folds && !this.more.open) continue; // nobody sees it
      const views = folds ? this.folded : this.shown;
      views.append(make("section", { class: name, "aria-label": words.views[name] },
        make("h3", {}, words.views[name]), ...above, make("div", { class: "scroll" }, ...parts())));
    }
    for (const views of [this.shown, this.folded]) { // of an odd number of halves, the last takes the line
      const halves = views.querySelectorAll(":scope > :is(.stamps, .matrix, .zeros, .gradients)");
      if (halves.length % 2) halves[halves.length - 1].classList.add("whole");
    }
    for (const scope of this.views.querySelectorAll("[data-scope]")) {
      const first = scope.querySelector("[data-place]");
      if (first) first.tabIndex = 0;
    }
    if (focused && this.picture) this.goTo(this.picture.board.places.get(focused));
    this.show();
  }

  // The name of each view, what it is made of, and what stands above it.
  sections() {
    const { picture, words } = this, found = [];
    if (this.kept) {
      found.push(["compared", () => comparison(words, [this.kept, { a: this.setting, picture }])]);
    }
    if (!picture) found.push(["counts", () => [make("p", {}, words.counted(counts(this.setting)))]]);
    else {
      const { a, y, w, shapes: shape } = picture;
      this.shownStamp = Math.min(this.shownStamp || 0, y.length - 1);
      found.push(["grids", () => picture.grids()], ["stamps", () => picture.stamps(this.shownStamp), this.player],
        ["matrix", () => picture.matrix()]);
      if (a.padding_mode === MODES[0]) found.push(["zeros", () => picture.zeros()]);
      found.push(["gradients", () => picture.gradients()]);
      if (a.dimension === 2 && shape.w[1] === 1 && shape.y[0] === a.groups) { // else channels would be mixed
        found.push(["photo", () => {
          this.photo.show(a, w.slice(0, count(shape.w.slice(2))));
          return this.photo.parts;
        }]);
      }
    }
    return [...found, ["code", () => [this.lines()]]];
  }

  // The layer in each framework, and what puts this state into other pages.
  lines() {
    const { words, picture } = this;
    const row = (name, ...parts) => make("div", { class: "line", "data-framework": name },
      make("b", {}, words.lines[name] || name), ...parts);
    const copied = (name, text, note = null) => {
      const copy = this.button(words.copy, () => this.copy(copy, text), "copy");
      copy.setAttribute("aria-label", words.lines[name] ? words.copyThe(words.lines[name]) : words.copyOf(name));
      return row(name, make("div", {}, make("code", { tabindex: "0" }, text), note), copy);
    };
    const rows = FRAMEWORKS.map((name) => {
      const { line, why, y, w, bias } = codeLine({ ...this.setting, ...this.layer }, name);
      return why ? row(name, make("div", {}, words.unsaid[why](name)))
        : copied(name, line, make("p", { class: "note" }, words.layouts(y, w, bias)));
    });
    if (picture) {
      rows.push(copied("fence", fence(this.setting, picture.y, picture.w, this.counts)), row("picture", this.saver()));
    }
    if (sharing === this) {
      const here = location.href.replace(/#.*/, "") + this.fragment();
      rows.push(copied("iframe", `<iframe src="${escaped(here)}" title="${escaped(words.title)}" `
        + 'width="100%" height="900"></iframe>'));
    }
    return make("div", {}, ...rows);
  }

  // Which view is saved, and as what.
  saver() {
    const { words } = this;
    const names = ["grids", "stamps", "matrix", "zeros", "gradients"]
      .filter((name) => this.views.querySelector(`section.${name}`));
    const [label, view] = this.choice(words.saved, names.map((name) => [name, words.views[name]]), () => {});
    const kinds = { SVG: svgOf, PNG: pngOf, TikZ: tikzOf };
    return make("div", { class: "saver" }, label, ...Object.keys(kinds).map((kind) => this.button(kind, async () => {
      const section = this.views.querySelector(`section.${view.value}`);
      const drawing = drawingOf(section, this.style.getPropertyValue("--paper"));
      download(await kinds[kind](drawing), `${view.value}.${kind === "TikZ" ? "tex" : kind.toLowerCase()}`);
    }, "copy")));
  }

  // -- what is shown ---------------------------------------------------------------------------------

  // Lights what belongs to the kept element, or else to the one that is pointed at.
  show() {
    const { picture, words } = this;
    this.scrub.max = picture ? picture.y.length : 0;
    if (!picture) {
      this.told.textContent = words.large;
      this.editor.hidden = true;
      return;
    }
    const pick = this.pinned || this.pointed;
    if (pick?.y !== undefined && pick.y !== this.shownStamp) {
      this.shownStamp = pick.y;
      picture.bringStamp(pick.y);
    }
    this.showSheet();
    this.views.classList.toggle("busy", Boolean(pick));
    this.views.classList.toggle("kept", Boolean(this.pinned));
    this.dress(picture.looks(pick, this.built));
    this.told.textContent = pick ? picture.sentence(pick) : words.hint;
    this.showEditor();
    if (pick) this.scrollToLit(); // the last, since it asks where things lie
  }

  // Gives each cell its look, and its own back to those that lit up before; most stay as they are.
  dress(looks) {
    const { picture } = this, lit = new Map();
    for (const cell of this.lit.keys()) if (!looks.has(cell)) looks.set(cell, { kinds: [], style: "", note: "" });
    for (const [cell, { kinds, style, note }] of looks) {
      const spec = picture.board.specs.get(cell), all = [...kinds].join(" ");
      const sign = [all, style, note].join("|");
      if (all) lit.set(cell, sign);
      if (this.lit.get(cell) === sign) continue;
      cell.className = [spec.kind, all].filter(Boolean).join(" ");
      cell.style.cssText = style || (spec.tap === undefined ? spec.style || "" : picture.colours(spec.tap));
      if (note) cell.dataset.times = note;
      else delete cell.dataset.times;
    }
    this.lit = lit;
  }

  showEditor() {
    const pick = this.pinned, editable = pick && "xyw".includes(pick.kind);
    this.editor.hidden = !editable;
    if (!editable) return;
    const letter = pick.kind, { picture } = this;
    this.edited.value = picture.text(letter, picture[letter][pick[letter]]);
    this.edited.setAttribute("aria-label", this.words.value(picture.name(letter, pick[letter])));
  }

  // Each view scrolls inside itself to what is lit; the one under the pointer stays as it is.
  scrollToLit() {
    for (const box of this.views.querySelectorAll(".scroll")) {
      if (box.matches(":hover") || box.contains(this.shadowRoot.activeElement)) continue;
      const first = this.built === null ? ".stamp .lit, .chosen" : ".sheet .lit";
      const cell = box.querySelector(first) || box.querySelector(".lit");
      if (!cell) continue;
      const [inner, outer] = [cell.getBoundingClientRect(), box.getBoundingClientRect()];
      const off = (low, high, first, last) => (low < first ? low - first : Math.max(high - last, 0));
      const [down, right] = [off(inner.top, inner.bottom, outer.top + 40, outer.bottom - 8),
        off(inner.left, inner.right, outer.left + 60, outer.right - 8)];
      if (down) box.scrollTop += down;
      if (right) box.scrollLeft += right;
    }
  }

  // -- copying --------------------------------------------------------------------------------------

  async copy(button, text) {
    const before = button.dataset.text || button.textContent;
    button.dataset.text = before;
    let words = this.words.copied;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that is not served safely has no clipboard; the old way may work there
      const field = make("textarea", {});
      field.value = text;
      this.shadowRoot.append(field);
      field.select();
      if (!document.execCommand("copy")) words = this.words.uncopied;
      field.remove();
      button.focus();
    }
    button.textContent = words;
    setTimeout(() => { button.textContent = before; }, 2000);
  }
}

customElements.define(TAG, Explorer);
