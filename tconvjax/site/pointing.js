// Pointing at cells, keeping them, moving among them by keys, and typing into them. The element
// itself shows what is pointed at.

class Pointing extends HTMLElement {
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
      if (event.key !== "Escape" || (!this.pinned && !this.timer && this.built === null)) return;
      this.release();
    });
  }

  pin(cell) {
    this.stop();
    this.built = null;
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
    else if (/^[\d.-]$/.test(event.key)) this.type(cell, event.key);
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
    const field = make("input", { "aria-label": this.words.value(this.picture.name(letter, index)) });
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
}
