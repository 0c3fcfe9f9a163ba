// The element <tconv-explorer>: its controls, what is pointed at and kept, and the address.

const TAG = "tconv-explorer";
const EXAMPLES = {
  checkerboard: { dimension: 2, out_size: 3, kernel: 3, stride: 2 },
  shuffle: { dimension: 2, out_size: 3, kernel: 2, stride: 2 },
  padding: { dimension: 2, out_size: 3, kernel: 3, padding: 1 },
  extra: { dimension: 2, out_size: 3, kernel: 3, stride: 2, padding: 1, output_padding: 1 },
  dilation: { dimension: 2, out_size: 2, kernel: 3, dilation: 2 },
  gaps: { dimension: 2, out_size: 3, kernel: 2, stride: 3 },
  line: { dimension: 1, out_size: 4, kernel: 5, stride: 2, padding: 1 },
  groups: { dimension: 1, out_size: 3, kernel: 3, stride: 2, groups: 2 },
};

// Of several elements that share, the first one has the address.
let sharing = null;

class Explorer extends Playing {
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
    this.shows = "values";
    const texts = {};
    for (const name of ["dimension", "padding_mode", ...Object.keys(RANGES), "x", "y", "w"]) {
      texts[name] = this.getAttribute(name.replace("_", "-"));
    }
    this.first = texts;
    const root = this.attachShadow({ mode: "open" });
    this.notice = make("p", { class: "notice", role: "status" });
    this.size = make("p", { class: "formula" });
    this.views = make("div", { class: "views" });
    root.append(make("style", {}, STYLE), this.buildControls(), this.size, this.notice,
      this.buildTold(), this.views);
    this.views.lang = root.host.lang || "en";
    this.buildPlayer();
    this.photo = new Photo(this.words);
    this.listen();
    this.take(texts);
  }

  button(text, act, kind) {
    const made = make("button", { type: "button", class: kind }, text);
    made.addEventListener("click", act);
    return made;
  }

  choice(label, options, chosen) {
    const select = make("select", { "aria-label": label },
      ...options.map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => chosen(select.value));
    return [make("label", {}, label, select), select];
  }

  buildControls() {
    const { words } = this;
    this.controls = {};
    const [dimension, axesOf] = this.choice(words.controls.dimension, [1, 2].map((n) => [n, words.axes(n)]),
      (value) => { this.change({ dimension: Number(value) }); this.keep(); });
    this.axesOf = axesOf;
    const rows = Object.keys(RANGES).map((name) => {
      const label = words.controls[name], { least } = RANGES[name];
      const slider = make("input", { type: "range", min: least, step: 1, "aria-label": label });
      const field = make("input", { "aria-label": words.typed(label), title: words.typing });
      slider.addEventListener("input", () => this.change({ [name]: Number(slider.value) }));
      slider.addEventListener("change", () => this.keep(name));
      slider.addEventListener("blur", () => { this.keptBy = null; });
      field.addEventListener("change", () => this.changeTo(name, field.value));
      this.controls[name] = { slider, field };
      return make("label", {}, label, slider, field);
    });
    const [mode, modes] = this.choice(words.controls.padding_mode, MODES.map((name) => [name, words.modes[name]]),
      (value) => { this.change({ padding_mode: value }); this.keep(); });
    this.mode = modes;
    const [example, select] = this.choice(words.example, Object.entries(words.examples), (value) => {
      if (EXAMPLES[value]) this.change(setting(EXAMPLES[value]));
      select.value = value;
      this.keep();
    });
    this.example = select;
    const [presets, kernel] = this.choice(words.preset, Object.entries(words.presets), (value) => {
      this.setKernel(value);
      kernel.value = value;
    });
    this.kernel = kernel;
    const [shows] = this.choice(words.shows, Object.entries(words.shown), (value) => {
      this.shows = value;
      this.draw();
    });
    this.keeper = this.button(words.compared.keep, () => this.compare());
    const pasted = make("input", { "aria-label": words.paste, placeholder: words.pasted, spellcheck: "false" });
    pasted.addEventListener("change", () => this.readLine(pasted.value));
    return make("div", { class: "controls", role: "group", "aria-label": words.title },
      example, dimension, ...rows, mode, presets, shows, this.keeper,
      make("label", { class: "wide" }, words.paste, pasted));
  }

  // The sentence or what is wrong, the value of what is kept, and the steps through z.
  buildTold() {
    const { words } = this;
    this.told = make("p", { "aria-live": "polite" });
    this.problem = make("p", { class: "problem", role: "alert" });
    this.edited = make("input", {});
    this.edited.addEventListener("change", () => this.edit(this.pinned, this.edited.value));
    this.editor = make("label", { hidden: "" }, this.edited);
    this.slider = this.button(words.step.play, () => this.play("window"));
    this.link = this.button(words.share, () => this.copy(this.link, location.href), "copy");
    const back = this.button("‹", () => { this.stop(); this.step(-1); });
    const next = this.button("›", () => { this.stop(); this.step(1); });
    back.setAttribute("aria-label", words.step.back);
    next.setAttribute("aria-label", words.step.next);
    this.steps = [back, this.slider, next];
    return make("div", { class: "told" }, this.told, this.problem,
      make("span", {}, this.editor, ...this.steps, this.link));
  }

  // -- the setting -----------------------------------------------------------------------------------

  // A new setting from texts that others wrote, the element's own attributes included.
  take(texts) {
    const { setting: a, refused, ...values } = readSetting(texts);
    this.setting = a;
    this.stop();
    this.values.clear();
    for (const letter of ["x", "y", "w"]) if (values[letter]) this.setValues(letter, values[letter]);
    this.notices = refused.map((one) => (one.count ? this.words.refusedList(one.name, one.count)
      : one.choices ? this.words.refusedChoice(this.words.controls[one.name], one.choices)
        : this.words.refused(this.words.controls[one.name], one.least, one.most)));
    this.pinned = this.pointed = this.built = null;
    this.draw();
  }

  // A reader's own change: numbers, or lists with an entry for each axis.
  change(changes, notices = []) {
    this.setting = setting({ ...this.setting, ...changes });
    this.notices = notices;
    this.example.value = "";
    if ("kernel" in changes || "dimension" in changes || "groups" in changes) this.kernel.value = "";
    this.pointed = this.built = null;
    this.stop();
    this.draw();
  }

  changeTo(name, text) {
    const list = readNumbers(name, text), { least, most } = RANGES[name];
    const takes = list && list.length <= this.setting.dimension;
    if (takes) this.change({ [name]: name === "groups" ? list[0] : list });
    else {
      this.notices = [this.words.refused(this.words.controls[name], least, most)];
      this.draw();
    }
    this.keep();
  }

  // The settings of a layer in a line of Python; the size of y, which no layer has, stays.
  readLine(text) {
    if (!text.trim()) return;
    const { words } = this, { why, numbers, notes, ...about } = readLayer(text);
    if (why) {
      this.notices = [words.notRead[why](about)];
      this.draw();
    } else {
      const out_size = fitted(this.setting.out_size, numbers.dimension);
      this.change({ ...numbers, out_size }, [words.read, ...notes.map((one) => words.notShown[one.kind](one))]);
    }
    this.keep();
  }

  setKernel(name) {
    if (name && !drawable(this.setting)) return;
    if (name) this.setValues("w", preset(name, this.setting));
    else for (const key of this.values.keys()) if (key.startsWith("w")) this.values.delete(key);
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

  // What was given or typed, and else 1 to 9 over and over.
  numbers(letter) {
    const shape = shapes(this.setting)[LIKE[letter] || letter];
    const typed = (index) => this.values.get(letter + unravel(index, shape).join());
    return range(count(shape)).map((index) => typed(index) ?? 1 + (index % 9));
  }

  edit(pick, text) {
    if (!pick || !"xyw".includes(pick.kind)) return;
    const list = readList(text);
    this.notices = list && list.length === 1 ? [] : [this.words.refusedValue];
    if (!this.notices.length) this.values.set(this.place(pick.kind, pick[pick.kind]), list[0]);
    if (pick.kind === "w") this.kernel.value = "";
    this.draw();
    this.keep();
  }

  // -- the address -----------------------------------------------------------------------------------

  // The state stands in the address's fragment; only what readSetting lets through comes back.
  readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const names = ["dimension", "padding_mode", ...Object.keys(RANGES), "x", "y", "w"];
    const ours = names.some((name) => given.has(name));
    if (!ours && location.hash) return false; // the place of a heading
    const texts = { ...this.first };
    for (const name of names) if (given.has(name)) texts[name] = given.get(name);
    // Values that were given for another size say nothing here.
    if (ours) for (const name of ["x", "y", "w"]) if (!given.has(name)) delete texts[name];
    this.take(texts);
    this.keptBy = null;
    return ours;
  }

  // The state as the fragment of an address.
  fragment() {
    const texts = { dimension: this.setting.dimension };
    for (const name of Object.keys(RANGES)) texts[name] = writeNumbers(this.setting, name);
    if (this.setting.padding_mode !== MODES[0]) texts.padding_mode = this.setting.padding_mode;
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
    for (const [name, { slider, field }] of Object.entries(this.controls)) {
      slider.max = RANGES[name].slider[a.dimension - 1];
      slider.value = [].concat(a[name]).flat()[0];
      field.value = writeNumbers(a, name);
      for (const one of [slider, field]) one.setAttribute("aria-invalid", wrong?.kind === name);
    }
    this.problem.textContent = wrong ? words.problems[wrong.kind](wrong.axis, wrong.most) : "";
    this.notice.textContent = this.notices.join(words.between);
    this.told.hidden = Boolean(wrong);
    const still = Boolean(wrong) || !drawable(a);
    for (const one of this.steps) one.disabled = still;
    for (const part of [this.size, this.views]) part.inert = Boolean(wrong);
    if (wrong) { // the last picture stays, greyed
      this.editor.hidden = true;
      return;
    }
    this.size.textContent = [words.sizes(a), words.size(axes(a)), words.relation(axes(a)),
      ...(a.padding_mode === MODES[0] ? [] : [words.copies[a.padding_mode]])].join(words.between);
    this.picture = null; // a cell that loses its focus as it goes is of no picture
    this.lit = new Map();
    this.views.replaceChildren();
    if (still) {
      this.pinned = null;
      this.views.append(this.section("counts", [make("p", {}, words.counted(counts(a)))]),
        ...this.compared(), this.section("code", [this.lines()]));
    } else {
      const [x, y, w] = ["x", "y", "w"].map((letter) => this.numbers(letter));
      this.picture = new Picture(a, { x, y, w }, words, this.shows);
      if (this.pinned) this.pinned = before && this.picture.carried(this.pinned, before);
      this.views.append(...this.sections());
      this.sheetShows = y.length;
    }
    for (const scope of this.views.querySelectorAll("[data-scope]")) {
      const first = scope.querySelector("[data-place]");
      if (first) first.tabIndex = 0;
    }
    if (focused && this.picture) this.goTo(this.picture.board.places.get(focused));
    this.show();
  }

  section(name, parts, ...above) {
    return make("section", { class: name, "aria-label": this.words.views[name] },
      make("h3", {}, this.words.views[name]), ...above, make("div", { class: "scroll" }, ...parts));
  }

  sections() {
    const { picture } = this;
    this.shownStamp = Math.min(this.shownStamp || 0, picture.y.length - 1);
    const stamps = this.section("stamps", picture.stamps(this.shownStamp), this.player);
    const found = [this.section("grids", picture.grids()), stamps, this.section("matrix", picture.matrix())];
    if (picture.a.padding_mode === MODES[0]) found.push(this.section("zeros", picture.zeros()));
    found.push(this.section("gradients", picture.gradients()));
    if (picture.a.dimension === 2) {
      found.push(this.section("photo", this.photo.parts));
      this.photo.show(picture.a, picture.w.slice(0, picture.taps / picture.a.groups));
    }
    return [...this.compared(), ...found, this.section("code", [this.lines()])];
  }

  compared() {
    const now = { a: this.setting, picture: this.picture };
    return this.kept ? [this.section("compared", comparison(this.words, [this.kept, now]))] : [];
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
      const { line, why, y, w } = codeLine(this.setting, name);
      return why ? row(name, make("div", {}, words.unsaid[why](name)))
        : copied(name, line, make("p", { class: "note" }, words.layouts(y, w)));
    });
    if (picture) rows.push(copied("fence", fence(this.setting, picture.y, picture.w)), row("picture", this.saver()));
    if (sharing === this) {
      const here = location.href.replace(/#.*/, "") + this.fragment();
      rows.push(copied("iframe", `<iframe src="${escaped(here)}" title="${escaped(words.title)}" `
        + 'width="100%" height="900"></iframe>'));
    }
    return make("div", {}, ...rows);
  }

  // Which view is saved, and as what.
  saver() {
    const { words } = this, zeros = this.setting.padding_mode === MODES[0] ? ["zeros"] : [];
    const names = ["grids", "stamps", "matrix", ...zeros, "gradients"];
    const [label, view] = this.choice(words.saved, names.map((name) => [name, words.views[name]]), () => {});
    const paper = () => this.style.getPropertyValue("--paper");
    const drawing = () => drawingOf(this.views.querySelector(`section.${view.value}`), paper());
    return make("div", { class: "saver" }, label,
      this.button("SVG", () => download(asAddress(drawing().text), `${view.value}.svg`), "copy"),
      this.button("PNG", async () => download(await pngOf(drawing()), `${view.value}.png`), "copy"));
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
    if (pick) this.scrollToLit();
    this.told.textContent = pick ? picture.sentence(pick) : words.hint;
    this.showEditor();
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
