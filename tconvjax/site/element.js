// The element <tconv-explorer>: its controls, what is pointed at and kept, and the address.

const TAG = "tconv-explorer";
const EXAMPLES = {
  checkerboard: { dimension: 2, out_size: 3, kernel: 3, stride: 2 },
  shuffle: { dimension: 2, out_size: 3, kernel: 2, stride: 2 },
  padding: { dimension: 2, out_size: 3, kernel: 3, stride: 1, padding: 1 },
  extra: { dimension: 2, out_size: 3, kernel: 3, stride: 2, padding: 1, output_padding: 1 },
  dilation: { dimension: 2, out_size: 2, kernel: 3, stride: 1, dilation: 2 },
  gaps: { dimension: 2, out_size: 3, kernel: 2, stride: 3 },
  line: { dimension: 1, out_size: 4, kernel: 5, stride: 2, padding: 1 },
  groups: { dimension: 1, out_size: 3, kernel: 3, stride: 2, groups: 2 },
};
const NOTHING_SPECIAL = { padding: 0, output_padding: 0, dilation: 1, groups: 1 };
const PACE = 1000; // milliseconds of one step of the play button

// Of several elements that share, the first one has the address.
let sharing = null;

class Explorer extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.watched = new AbortController();
    const { signal } = this.watched;
    const follow = () => this.followTheme();
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
    this.play(false);
    if (sharing === this) sharing = null;
  }

  // -- building --------------------------------------------------------------------------------------

  build() {
    const wanted = (this.getAttribute("lang") || "en").toLowerCase().slice(0, 2);
    this.words = WORDS[wanted] || WORDS.en;
    this.values = new Map(); // by place, so that a value comes back with its cell
    this.notices = [];
    this.shows = "values";
    const texts = { y: this.getAttribute("y"), w: this.getAttribute("w") };
    for (const name of Object.keys(START)) texts[name] = this.getAttribute(name.replace("_", "-"));
    this.first = texts;
    const root = this.attachShadow({ mode: "open" });
    this.notice = make("p", { class: "notice", role: "status" });
    this.size = make("p", { class: "formula" });
    this.views = make("div", { class: "views" });
    root.append(make("style", {}, STYLE), this.buildControls(), this.size, this.notice,
      this.buildTold(), this.views);
    this.views.lang = root.host.lang || "en";
    this.listen();
    this.take(texts, START);
  }

  buildControls() {
    const { words } = this;
    this.controls = {};
    const choice = (label, options, chosen) => {
      const select = make("select", { "aria-label": label }, ...options.map(([value, text]) => make("option", { value }, text)));
      select.addEventListener("change", () => chosen(select.value));
      return [make("label", {}, label, select), select];
    };
    const rows = Object.keys(START).map((name) => {
      const label = words.controls[name];
      if (name === "dimension") {
        const [row, select] = choice(label, [1, 2].map((n) => [n, words.axes(n)]),
          (value) => { this.change({ dimension: Number(value) }); this.keep(); });
        this.controls[name] = [select];
        return row;
      }
      const slider = make("input", { type: "range", step: 1, "aria-label": label }), shown = make("output", {});
      slider.addEventListener("input", () => this.change({ [name]: Number(slider.value) }));
      slider.addEventListener("change", () => this.keep(name));
      slider.addEventListener("blur", () => { this.keptBy = null; });
      this.controls[name] = [slider, shown];
      return make("label", {}, label, slider, shown);
    });
    const [example, select] = choice(words.example, Object.entries(words.examples), (value) => {
      if (EXAMPLES[value]) this.change({ ...NOTHING_SPECIAL, ...EXAMPLES[value] });
      this.keep();
    });
    this.example = select;
    const [shows] = choice(words.shows, Object.entries(words.shown), (value) => {
      this.shows = value;
      this.draw();
    });
    return make("div", { class: "controls", role: "group", "aria-label": words.title },
      example, ...rows, shows);
  }

  // The sentence or what is wrong, the value of what is kept, and the steps through z.
  buildTold() {
    const { words } = this;
    const button = (text, act, kind) => {
      const made = make("button", { type: "button", class: kind }, text);
      made.addEventListener("click", act);
      return made;
    };
    this.told = make("p", { "aria-live": "polite" });
    this.problem = make("p", { class: "problem", role: "alert" });
    this.edited = make("input", { type: "number", min: -MOST_VALUE, max: MOST_VALUE, step: 1 });
    this.edited.addEventListener("change", () => this.edit(this.pinned, this.edited.value));
    this.editor = make("label", { hidden: "" }, this.edited);
    this.player = button(words.step.play, () => this.play(!this.timer), "moves");
    this.link = button(words.share, () => this.copy(this.link, location.href), "copy");
    const back = button("‹", () => { this.play(false); this.step(-1); });
    const next = button("›", () => { this.play(false); this.step(1); });
    back.setAttribute("aria-label", words.step.back);
    next.setAttribute("aria-label", words.step.next);
    this.steps = [back, this.player, next];
    return make("div", { class: "told" }, this.told, this.problem,
      make("span", {}, this.editor, back, this.player, next, this.link));
  }

  // -- the setting -----------------------------------------------------------------------------------

  // A new setting from texts that others wrote, the element's own attributes included.
  take(texts, base) {
    const { setting, refused, y, w } = readSetting(texts, base);
    this.setting = setting;
    this.play(false);
    this.values.clear();
    for (const [letter, list] of [["y", y], ["w", w]]) {
      if (list) list.forEach((value, index) => this.values.set(this.place(letter, index), value));
    }
    this.notices = refused.map((one) => (one.count ? this.words.refusedList(one.name, one.count)
      : this.words.refused(this.words.controls[one.name], one.least, one.most)));
    this.pinned = this.pointed = null;
    this.draw();
  }

  // A reader's own change. 2-D offers less than 1-D; what has to be lowered for it is told.
  change(changes) {
    const setting = { ...this.setting, ...changes };
    this.notices = [];
    for (const [name, [, most]] of Object.entries(bounds(setting.dimension))) {
      if (setting[name] <= most) continue;
      this.notices.push(this.words.lowered(this.words.controls[name], setting[name], most));
      setting[name] = most;
    }
    if (!("kernel" in changes && "stride" in changes)) this.example.value = "";
    this.setting = setting;
    this.pointed = null;
    this.play(false);
    this.draw();
  }

  place(letter, index) {
    return letter + unravel(index, shapes(this.setting)[letter]).join();
  }

  // What was given or typed, and else 1 to 9 over and over.
  numbers(letter) {
    return range(count(shapes(this.setting)[letter]))
      .map((index) => this.values.get(this.place(letter, index)) ?? 1 + (index % 9));
  }

  edit(pick, text) {
    if (!pick || (pick.kind !== "y" && pick.kind !== "w")) return;
    const list = String(text).trim() === "" ? null : readList(text);
    this.notices = list && list.length === 1 ? [] : [this.words.refusedValue];
    if (!this.notices.length) this.values.set(this.place(pick.kind, pick[pick.kind]), list[0]);
    this.draw();
    this.keep();
  }

  // -- the address -----------------------------------------------------------------------------------

  // The state stands in the address's fragment; only what readSetting lets through comes back.
  readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const names = [...Object.keys(START), "y", "w"];
    const ours = names.some((name) => given.has(name));
    if (!ours && location.hash) return false; // the place of a heading
    const texts = { ...this.first };
    for (const name of names) if (given.has(name)) texts[name] = given.get(name);
    // Values that were given for another size say nothing here.
    if (ours) for (const name of ["y", "w"]) if (!given.has(name)) delete texts[name];
    this.take(texts, START);
    this.keptBy = null;
    return ours;
  }

  // One entry of the history for each visit to a slider, however many steps it takes.
  keep(by = null) {
    if (sharing !== this) return;
    const texts = { ...this.setting, y: this.numbers("y"), w: this.numbers("w") };
    const hash = `#${Object.entries(texts).map(([name, value]) => `${name}=${value}`).join("&")}`;
    if (hash === location.hash) return;
    history[by && by === this.keptBy ? "replaceState" : "pushState"](null, "", hash);
    this.keptBy = by;
  }

  // -- drawing ---------------------------------------------------------------------------------------

  draw() {
    const { setting, words } = this;
    const focused = this.shadowRoot.activeElement?.dataset.place, before = this.picture;
    const wrong = problem(setting);
    for (const [name, [control, shown]] of Object.entries(this.controls)) {
      const [least, most] = bounds(setting.dimension)[name];
      if (shown) Object.assign(control, { min: least, max: most });
      control.value = setting[name];
      if (shown) shown.value = setting[name];
      control.setAttribute("aria-invalid", wrong?.kind === name);
    }
    this.problem.textContent = wrong
      ? words.problems[wrong.kind](setting, ...Object.values(wrong).slice(1)) : "";
    this.notice.textContent = this.notices.join(" ");
    this.told.hidden = Boolean(wrong);
    for (const one of this.steps) one.disabled = Boolean(wrong);
    for (const part of [this.size, this.views]) part.inert = Boolean(wrong);
    if (wrong) { // the last picture stays, greyed
      this.editor.hidden = true;
      return;
    }
    this.size.textContent = [words.sizes, words.size, words.relation].map((say) => say(setting)).join(" ");
    this.picture = null; // a cell that loses its focus as it goes is of no picture
    this.views.replaceChildren();
    this.picture = new Picture(setting, this.numbers("y"), this.numbers("w"), words, this.shows);
    if (this.pinned) this.pinned = this.picture.carried(this.pinned, before);
    this.views.append(...this.sections());
    for (const scope of this.views.querySelectorAll("[data-scope]")) {
      const first = scope.querySelector("[data-place]");
      if (first) first.tabIndex = 0;
    }
    if (focused) this.goTo(this.picture.board.places.get(focused));
    this.show();
  }

  sections() {
    const { picture, words } = this;
    this.shownStamp = Math.min(this.shownStamp || 0, picture.y.length - 1);
    const section = (name, parts) => {
      const scroll = make("div", { class: "scroll" }, ...parts);
      return make("section", { class: name, "aria-label": words.views[name] },
        make("h3", {}, words.views[name]), scroll);
    };
    const [grids, stamps] = [section("grids", picture.grids()),
      section("stamps", picture.stamps(this.shownStamp))];
    this.stampHolder = stamps.querySelector(".scroll");
    return [grids, section("matrix", picture.matrix()), stamps, section("zeros", picture.zeros()),
      section("code", [this.lines()])];
  }

  lines() {
    const { words } = this;
    return make("div", {}, ...FRAMEWORKS.map((name) => {
      const { line, why, y, w } = codeLine(this.setting, name);
      const row = make("div", { class: "line", "data-framework": name }, make("b", {}, name));
      if (why) {
        row.append(make("div", {}, words.unsaid[why](name)));
        return row;
      }
      const button = make("button", { type: "button", class: "copy", "aria-label": words.copyOf(name) },
        words.copy);
      button.addEventListener("click", () => this.copy(button, line));
      row.append(make("div", {}, make("code", { tabindex: "0" }, line),
        make("p", { class: "note" }, words.layouts(y, w))), button);
      return row;
    }));
  }

  // -- what is shown ---------------------------------------------------------------------------------

  // Lights what belongs to the kept element, or else to the one that is pointed at.
  show() {
    const { picture, words } = this;
    if (!picture) return;
    const pick = this.pinned || this.pointed;
    this.bringStamp(pick);
    for (const cell of this.views.querySelectorAll(".lit, .chosen, .under, .band")) {
      cell.classList.remove("lit", "chosen", "under", "band");
      const { tap, style } = picture.board.specs.get(cell);
      cell.style.cssText = tap === undefined ? style || "" : picture.colours(tap);
      cell.removeAttribute("data-times");
    }
    const each = (key, act) => (picture.board.lit.get(key) || []).forEach(act);
    const colouring = (kind) => ([key, tap]) => each(key, (cell) => {
      cell.classList.add(...kind.split(" "));
      cell.style.cssText += picture.colours(tap);
    });
    this.views.classList.toggle("busy", Boolean(pick));
    this.views.classList.toggle("kept", Boolean(this.pinned));
    if (pick) {
      picture.lights(pick).forEach(colouring("lit"));
      if (pick.kind === "z" || pick.kind === "entry") this.slide(pick, colouring("lit under"));
      if (pick.kind === "z") each(`row${pick.z}`, (cell) => cell.classList.add("band"));
      if (pick.kind === "y") each(`column${pick.y}`, (cell) => cell.classList.add("band"));
      for (const key of this.ownKeys(pick)) each(key, (cell) => cell.classList.add("chosen"));
      this.scrollToLit();
    }
    this.told.textContent = pick ? picture.sentence(pick) : words.hint;
    this.showEditor();
  }

  slide(pick, colour) {
    for (const pair of this.picture.window(pick.z)) {
      colour(pair);
      const times = `×${this.picture.w[pair[1]]}`;
      for (const cell of this.picture.board.lit.get(pair[0]) || []) cell.dataset.times = times;
    }
  }

  ownKeys(pick) {
    if (pick.kind === "entry") return [`e${pick.z},${pick.y}`, `s${pick.y},${pick.c}`];
    if (pick.kind === "nothing") return [`e${pick.z},${pick.y}`];
    if (pick.kind === "off") return [`s${pick.y},${pick.c}`];
    return pick[pick.kind] === undefined ? [] : [pick.kind + pick[pick.kind]];
  }

  // Where only one stamp is drawn, that of the element in question.
  bringStamp(pick) {
    if (!pick || pick.y === undefined || pick.y === this.shownStamp) return;
    this.shownStamp = pick.y;
    const [{ length: all }, { length: cells }] = [this.picture.y, this.picture.canvas];
    if (all * cells / this.setting.groups <= MOST_ENTRIES) return;
    this.stampHolder.replaceChildren(...this.picture.stamps(pick.y));
  }

  showEditor() {
    const pick = this.pinned, editable = pick && (pick.kind === "y" || pick.kind === "w");
    this.editor.hidden = !editable;
    if (!editable) return;
    const letter = pick.kind;
    this.edited.value = this.picture[letter][pick[letter]];
    this.edited.setAttribute("aria-label", this.words.value(this.picture.name(letter, pick[letter])));
  }

  // Each view scrolls inside itself to what is lit; the one under the pointer stays as it is.
  scrollToLit() {
    for (const box of this.views.querySelectorAll(".scroll")) {
      if (box.matches(":hover") || box.contains(this.shadowRoot.activeElement)) continue;
      const cell = box.querySelector(".stamp .lit, .chosen") || box.querySelector(".lit");
      if (!cell) continue;
      const [inner, outer] = [cell.getBoundingClientRect(), box.getBoundingClientRect()];
      const off = (low, high, first, last) => (low < first ? low - first : Math.max(high - last, 0));
      const [down, right] = [off(inner.top, inner.bottom, outer.top + 40, outer.bottom - 8),
        off(inner.left, inner.right, outer.left + 60, outer.right - 8)];
      if (down) box.scrollTop += down;
      if (right) box.scrollLeft += right;
    }
  }

  // -- pointing, keys, steps -------------------------------------------------------------------------

  listen() {
    const cellOf = (event) => event.target.closest?.("[data-place]");
    const point = (cell) => {
      this.pointed = cell && this.picture ? this.picture.board.specs.get(cell).pick : null;
      if (!this.pinned) this.show();
    };
    this.views.addEventListener("pointerover", (event) => {
      if (event.pointerType !== "touch") point(cellOf(event)); // a touch is a click
    });
    this.views.addEventListener("pointerleave", () => point(null));
    this.views.addEventListener("focusin", (event) => { if (cellOf(event)) point(cellOf(event)); });
    this.views.addEventListener("focusout", () => point(null));
    this.views.addEventListener("click", (event) => { if (cellOf(event)) this.pin(cellOf(event)); });
    this.views.addEventListener("dblclick", (event) => { if (cellOf(event)) this.type(cellOf(event), ""); });
    this.views.addEventListener("keydown", (event) => {
      if (cellOf(event) && event.target === cellOf(event)) this.press(event, cellOf(event));
    });
    this.shadowRoot.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || (!this.pinned && !this.timer)) return;
      this.play(false);
      this.pinned = null;
      this.show();
    });
  }

  pin(cell) {
    this.play(false);
    const { pick } = this.picture.board.specs.get(cell);
    const same = this.pinned && Object.keys(pick).every((key) => pick[key] === this.pinned[key]);
    this.pinned = same ? null : pick;
    this.roam(cell);
    this.show();
  }

  press(event, cell) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      Home: [0, -Infinity], End: [0, Infinity] };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (moves[event.key]) this.goTo(this.neighbour(cell, ...moves[event.key]));
    else if (event.key === "Enter" || event.key === " ") this.pin(cell);
    else if (/^[\d-]$/.test(event.key)) this.type(cell, event.key);
    else if (event.key === "F2") this.type(cell, "");
    else return;
    event.preventDefault();
  }

  // The next cell of a table that can be pointed at, or of the table beside it in the same scope.
  neighbour(cell, down, right) {
    const row = cell.parentNode, rows = [...row.parentNode.children];
    const column = [...row.children];
    const line = down ? rows.map((one) => one.children[column.indexOf(cell)]) : column;
    const open = line.filter((one) => one.dataset.place);
    const at = open.indexOf(cell) + (down || right);
    if (!Number.isFinite(at)) return open[at < 0 ? 0 : open.length - 1];
    if (open[at] || down) return open[at];
    const tables = [...cell.closest("[data-scope]").querySelectorAll("[data-grid]")];
    const beside = tables[tables.indexOf(cell.closest("table")) + right];
    if (!beside || tables.length < 2) return undefined;
    const there = [...beside.rows[Math.min(rows.indexOf(row), beside.rows.length - 1)].children]
      .filter((one) => one.dataset.place);
    return there[right > 0 ? 0 : there.length - 1] || beside.querySelector("[data-place]");
  }

  // One cell of a scope is the tab stop: the one that was last visited.
  roam(cell) {
    for (const one of cell.closest("[data-scope]").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    cell.tabIndex = 0;
  }

  goTo(cell) {
    if (!cell) return;
    this.roam(cell);
    cell.focus();
  }

  // A field in the cell itself; Enter takes the value, Escape leaves it.
  type(cell, text) {
    const spec = this.picture.board.specs.get(cell);
    if (!spec.edit) return;
    const { letter, index } = spec.edit;
    const field = make("input", { inputmode: "numeric", "aria-label": this.words.value(this.picture.name(letter, index)) });
    field.value = text || spec.text;
    cell.replaceChildren(field);
    field.focus();
    if (!text) field.select();
    let done = false;
    const end = (taken, back) => {
      if (done) return;
      done = true;
      cell.replaceChildren(spec.text);
      if (back) cell.focus();
      if (taken) this.edit({ kind: letter, [letter]: index }, field.value);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter", true);
      event.stopPropagation();
    });
    field.addEventListener("blur", () => end(true, false));
    for (const kind of ["click", "dblclick"]) field.addEventListener(kind, (event) => event.stopPropagation());
  }

  // Keeps the next element of the kind that is kept, of z if none is: the flipped kernel slides.
  step(by) {
    const kind = ["y", "z", "w"].includes(this.pinned?.kind) ? this.pinned.kind : "z";
    const all = this.picture[kind].length, now = this.pinned?.[kind] ?? (by > 0 ? -1 : all);
    this.pinned = { kind, [kind]: (now + by + all) % all };
    this.show();
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.step(1), PACE) : null;
    if (on) this.step(1);
    this.player.textContent = this.words.step[on ? "pause" : "play"];
  }

  // -- copying, colours ------------------------------------------------------------------------------

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

  // Fields and scroll bars are light or dark as the page's text says, whoever chose it: the system,
  // the page, or the palette switch of Material for MkDocs.
  followTheme() {
    const text = getComputedStyle(this.parentElement || document.body).color;
    const parts = text.match(/[\d.]+/g);
    const isRgb = /^rgba?\(/.test(text) && parts.length >= 3;
    const dark = isRgb ? luminance(parts.slice(0, 3).map(Number)) > 0.3
      : matchMedia("(prefers-color-scheme: dark)").matches;
    this.style.colorScheme = dark ? "dark" : "light";
    this.style.setProperty("--paper", this.paper());
    this.style.setProperty("--covered", `${this.covered()}px`);
  }

  // How much of the window the page's header covers while the page scrolls; the sentence stays below.
  covered() {
    const { left, width } = this.getBoundingClientRect();
    let part = document.elementFromPoint(left + width / 2, 1);
    while (part && !/fixed|sticky/.test(getComputedStyle(part).position)) part = part.parentElement;
    const bottom = part ? part.getBoundingClientRect().bottom : 0;
    return bottom < innerHeight / 2 ? bottom : 0;
  }

  // The nearest background behind the element, for what must cover the cells that scroll under it.
  paper() {
    for (let part = this.parentElement; part; part = part.parentElement) {
      const back = getComputedStyle(part).backgroundColor;
      if (back !== "transparent" && !/[,/]\s*0\)$/.test(back)) return back;
    }
    return "Canvas";
  }
}

customElements.define(TAG, Explorer);
