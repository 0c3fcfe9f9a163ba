"""The documentation runs, is complete, and needs nothing from elsewhere."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import shlex
import statistics
from pathlib import Path

import numpy as np
import pytest
from markdown import Markdown
from PIL import Image
from pymdownx.superfences import SuperFencesException

import tconvjax
from tconvjax import conventions, explaining, matrices, rendering, symbolic, upsampling
from tconvjax.__main__ import main
from tconvjax.rendering import palette
from tconvjax.site import explorer, fence
from tests import docs_examples

ROOT = docs_examples.ROOT
PAGES = sorted(docs_examples.DOCS.rglob("*.md"))
WRITTEN = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

# An image, a script, a frame or a stylesheet from another machine; links to read are welcome.
FOREIGN = re.compile(
    r"!\[[^\]]*\]\(\s*<?(?:https?:)?//"
    r"|<(?:img|script|iframe|source|video|audio|embed)\b[^>]*\ssrc\s*=\s*[\"']?(?:https?:)?//"
    r"|<link\b[^>]*\shref\s*=\s*[\"']?(?:https?:)?//"
    r"|@import\b[^;\n]*(?:https?:)?//"
    r"|\b(?:unpkg\.com|cdn\.|cdnjs\.|jsdelivr\.net|fonts\.googleapis|polyfill\.io)",
    re.IGNORECASE,
)


def texts() -> dict[str, str]:
    """Each document that people write, by its path."""
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in WRITTEN}


def documented() -> set[str]:
    """The full names that the reference pages ask mkdocstrings for."""
    pages = (docs_examples.DOCS / "reference").glob("*.md")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    return set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


def test_every_python_block_is_collected_once() -> None:
    paths = [*PAGES, ROOT / "README.md"]
    plugins = (docs_examples.PAGES, docs_examples.README)
    assert {path: [p.should_parse(path) for p in plugins].count(True) for path in paths} == (
        dict.fromkeys(paths, 1)
    )
    found = {document: len(list(document.examples())) for document in docs_examples.documents()}
    assert len(found) == len(paths)
    assert sum(found.values()) > 100
    blocks = {d.path: len(re.findall(r"^```python$", d.text, re.MULTILINE)) for d in found}
    assert [d.path for d, examples in found.items() if examples < blocks[d.path]] == []


def test_python_is_fenced_so_that_it_runs() -> None:
    known = {"python", "bash", "text", "tconv", "yaml", "html"}
    fences = r"^ *```[ {.]*([A-Za-z]\w*)"
    strange = {path: set(re.findall(fences, text, re.M)) - known for path, text in texts().items()}
    assert {path: languages for path, languages in strange.items() if languages} == {}


def test_each_page_begins_with_its_heading_and_has_one() -> None:
    wrong = []
    for path, text in texts().items():
        body = re.sub(r"(?s)\A---\n.*?\n---\n+", "", text)
        if body == '--8<-- "CHANGELOG.md"\n':
            continue
        prose = re.sub(r"(?ms)^ *(```+).*?^ *\1$", "", body)
        if not body.startswith("# ") or len(re.findall(r"(?m)^# ", prose)) > 1:
            wrong.append(path)
    assert wrong == []


def test_what_is_said_of_an_explorer_stays_true_as_it_is_moved() -> None:
    """Its caption and its description name no setting, since a reader changes them."""
    fences = re.findall(r"```tconv\nview: explorer\n(.*?)```", "".join(texts().values()), re.S)
    said = re.findall(r"(?m)^(?:caption|alt): (.*)$", "".join(fences))
    assert len(fences) == 22
    assert [words for words in said if re.search(r"\d", words)] == []


LEARN = [docs_examples.DOCS / "learn", docs_examples.DOCS / "zh/learn"]


@pytest.mark.parametrize("folder", LEARN, ids=["English", "Chinese"])
def test_the_list_of_the_learn_pages_their_titles_and_the_menu_agree(folder: Path) -> None:
    text = (folder / "index.md").read_text("utf-8")
    listed = re.findall(r"(?m)^\d+\. \[(.*)\]\((.*)\)", text)
    names = [page for _, page in listed]
    assert sorted(names) == sorted({path.name for path in folder.glob("*.md")} - {"index.md"})
    firsts = [(folder / page).read_text("utf-8").partition("\n")[0] for page in names]
    assert firsts == [f"# {title}" for title, _ in listed]
    menu = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    prefix = re.escape(folder.relative_to(docs_examples.DOCS).as_posix())
    # A page without a title of its own in the menu has that of its heading there.
    assert re.findall(rf"(?m)^ +- {prefix}/(.*)$", menu) == ["index.md", *names]
    ends = [(folder / page).read_text("utf-8").rstrip().rpartition("\n\n")[2] for page in names]
    onwards = [re.findall(r"\]\((.*?)\)", end)[0] for end in ends]
    assert onwards[:-1] == names[1:]


def figures_and_code(path: Path) -> list[str]:
    """The fences of a page, without what is said in a language."""
    text = path.read_text("utf-8")
    fences = re.findall(r"(?ms)^ *```(?:tconv|python)\n.*?^ *```$|^\$\$.*?\$\$$", text)
    said = r"(?m)^(?:caption|alt|words|lang): .*\n| *# .*$|\\text\{.*?\}"
    return [re.sub(said, "", fence) for fence in fences]


@pytest.mark.parametrize("page", [path.name for path in sorted(LEARN[0].glob("*.md"))])
def test_a_learn_page_and_its_twin_show_the_same(page: str) -> None:
    english, chinese = (figures_and_code(folder / page) for folder in LEARN)
    assert english == chinese
    if page != "index.md":
        figures = [fence for fence in english if "tconv\n" in fence]
        assert len([fence for fence in figures if "format: animation" in fence]) >= 1
        assert len([fence for fence in figures if "view: explorer" in fence]) == 1


def test_what_a_page_says_that_a_command_prints_is_what_it_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = r"```bash\n((?:[^`]|`(?!``))*)```\n+```text\n(.*?)```"
    checked = 0
    for path, text in texts().items():
        for commands, shown in re.findall(blocks, text, re.DOTALL):
            for command in commands.replace("\\\n", " ").strip().splitlines():
                assert main(shlex.split(command.removeprefix("tconvjax "))) == 0, command
            printed = capsys.readouterr().out
            left_out = set(shown.strip().split("\n\n")) - set(printed.strip().split("\n\n"))
            assert left_out == set(), (path, commands)
            checked += 1
    assert checked == 2


@pytest.mark.parametrize("path", [path for path, text in texts().items() if "\ntconvjax " in text])
def test_each_command_of_a_page_runs_in_its_order(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the files that the commands before it have made, and a picture of the reader's."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("picture.png")
    blocks = re.findall(r"(?ms)^```bash\n(.*?)^```", texts()[path])
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == "tconvjax" and words:
            assert main(words) == 0, (line, capsys.readouterr().err)
        elif words[:1] == ["-c"]:
            exec(words[1], {})  # noqa: S102 - our own documentation


def test_the_error_that_the_page_on_fences_shows_is_what_is_said() -> None:
    text = " ".join((ROOT / "docs/reference/fences.md").read_text("utf-8").split())
    with pytest.raises(SuperFencesException) as told:
        fence.format(
            "view: matrix\nin_size: 4\nkernel: 3\nstride: two", "tconv", "tconv", {}, Markdown()
        )
    assert f"notes.md, line 12: {told.value} ```" in text


def test_readme_has_the_two_commands_verbatim() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for command in ("pip install . && python -m tconvjax", "pip install -e '.[test]' && pytest"):
        assert f"\n```bash\n{command}\n```\n" in readme


def test_every_public_name_is_in_the_reference() -> None:
    names = {f"tconvjax.{name}" for name in tconvjax.__all__}
    rooms = conventions, symbolic, matrices, rendering, explaining, upsampling
    for module in (*rooms, fence, explorer):
        names |= {f"{module.__name__}.{name}" for name in module.__all__
                  if inspect.isroutine(getattr(module, name)) or
                  inspect.isclass(getattr(module, name))}  # fmt: skip
    assert {"tconvjax.symbolic.conv_matrix", "tconvjax.matrices.conv_matrix"} < names
    assert names - documented() == set()


def test_pages_load_nothing_from_elsewhere() -> None:
    foreign = {path: FOREIGN.findall(text) for path, text in texts().items()}
    assert {path: found for path, found in foreign.items() if found} == {}


def test_a_foreign_asset_is_seen_and_a_link_to_read_is_none() -> None:
    for text in (
        "![logo](https://example.org/x.svg)",
        "![logo](//example.org/x.svg)",
        '<img alt="" src="http://example.org/x.png">',
        '<script defer src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        "[x](https://cdn.example.org/x.js)",
    ):
        assert FOREIGN.search(text), text
    assert not FOREIGN.search("[thread](https://github.com/jax-ml/jax/issues/1) ![](local.svg)")


def test_the_tables_of_the_reference_are_those_of_the_results() -> None:
    for path, text in runpy.run_path(str(ROOT / "benchmarks/tables.py"))["pages"]().items():
        assert path.read_text("utf-8") == text, path
        assert text.count("<!-- end -->") == 1


def test_the_pictures_are_what_their_program_makes() -> None:
    made = runpy.run_path(str(ROOT / "docs/pictures.py"))
    folder = ROOT / "docs/assets/upsampling"
    pictures = made["pictures"]()
    names = {path.stem for path in folder.glob("*.png")} - {"photograph"}
    assert pictures.keys() == names
    for name, pixels in pictures.items():
        with Image.open(folder / f"{name}.png") as image:
            shown = np.asarray(image.convert("RGB"), np.int16)
        # Halves may round either way on another machine.
        assert np.abs(shown - pixels.astype(np.int16)).max() <= 1, name
    assert (folder / "indices.svg").read_text("utf-8") == made["indices_drawn"]()
    for name, drawn in made["learn_drawn"]().items():
        assert (ROOT / f"docs/assets/learn/{name}.svg").read_text("utf-8") == drawn, name
    state = ROOT / "docs/assets/streaming/state.svg"
    assert state.read_text("utf-8") == made["state_drawn"]()


def test_the_drawings_of_the_site_have_no_colours_but_those_of_taps() -> None:
    known = {*palette.EIGHT, "#000000", "#ffffff"}
    for path in sorted((ROOT / "docs/assets").rglob("*.svg")):
        found = re.findall(r"#[0-9a-f]{6}\b", path.read_text("utf-8").lower())
        assert set(found) <= known, path


def test_the_prediction_is_what_its_program_predicts() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks/predicted.py"))["predicted"]()
    text = (ROOT / "docs/use/sharding.md").read_text("utf-8")
    image, volume = (
        {k: round(256 * (v[8] or 0)) for k, v in each.items()} for each in made.values()
    )
    told = [image["1 axis, 1,000"], image["2 axes, 1,000"], volume["1 axis, 1,000"],
            volume["3 axes, 1,000"]]  # fmt: skip
    said = "work of {} for the image in strips and of {} in blocks; for the volume of {} in strips"
    assert (said + " and of {} in blocks").format(*told) in " ".join(text.split())


def test_the_figures_are_those_that_were_measured() -> None:
    """The tables of the page on speed, and the README's two numbers, are those of the results."""
    results, script = ROOT / "benchmarks/results", runpy.run_path(str(ROOT / "benchmarks/page.py"))
    report, *others = (
        json.loads((results / f"{name}.json").read_text("utf-8")) for name in script["REPORTS"]
    )
    text = (ROOT / "docs/speed.md").read_text("utf-8")
    assert script["page"](text, report, *others) == text
    steps = [case["tasks"]["step"]["contestants"] for case in report["cases"].values()]
    ratios = {
        name: step["lax.conv_transpose"]["ms"] / step["tconvjax, channels last"]["ms"]
        for name, step in zip(report["cases"], steps, strict=True)
    }
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"takes {ratios['hifigan_up2']:.0f} times less time" in readme
    mean = f"{statistics.geometric_mean(ratios.values()):.0f} times less"
    assert f"takes {mean} in the" in readme
    home = " ".join((ROOT / "docs/index.md").read_text("utf-8").split())
    assert f"a training step takes {mean} time than with `lax.conv_transpose`, in the" in home
    torch = [
        min(s[name]["ms"] for name in s if name.startswith("PyTorch"))
        / s["tconvjax, channels last"]["ms"]
        for s in steps
    ]
    assert f"and {statistics.geometric_mean(torch):.1f} times less than with the better" in readme
