"""What keeps people out of a page is found wherever it is, though few elements are looked at."""

from __future__ import annotations

from typing import Any

from tests.site.conftest import asked, barriers


def opened(context: Any, address: str) -> Any:
    view = context.new_page()
    view.goto(address)
    view.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    return view


def test_elements_that_look_alike_are_judged_alike(browser: Any, served: str) -> None:
    """The first and the last of each look speak for all that axe-core judges of it, on any page."""
    judged: dict[str, set[str]] = {}
    shared = 0
    for page in ("learn/checkerboards", "reference/fences"):
        with browser.new_context(color_scheme="dark", reduced_motion="reduce") as context:
            found = asked(opened(context, f"{served}/{page}/"), "judgements")
        assert sum(any(all_of_it) for _, all_of_it in found) > 25
        assert sum(map(len, (each for _, each in found))) > 5 * len(found)
        for look, each in found:
            verdicts = set(filter(None, each))
            assert verdicts <= {each[0], each[-1]}, look
            shared += len(verdicts & judged.get(look, set()))
            assert judged.setdefault(look, verdicts) == verdicts, look
    assert shared > 15


FAULTS = {
    "color-contrast": "one => { one.style.color = '#999' }",
    "link-in-text-block": """one => { one.innerHTML = "<a href='#' style='text-decoration: none;"
      + "color: #333'>a link</a> among words that are many more than those of the link" }""",
    "image-alt": "one => { one.innerHTML = '<img src=\"data:,\">' }",
    "button-name": "one => { one.innerHTML = '<button></button>' }",
    "list": "one => { one.innerHTML = '<ul><p>words</p></ul>' }",
    "aria-valid-attr-value": "one => { one.setAttribute('aria-hidden', 'perhaps') }",
    "select-name": "one => { one.innerHTML = '<select><option>words</option></select>' }",
}
"""What is done to a paragraph, and the rule of axe-core that it breaks."""


def test_a_barrier_is_found_in_any_of_many_paragraphs(browser: Any, served: str) -> None:
    with browser.new_context(color_scheme="light") as context:
        view = opened(context, f"{served}/promises/")
        assert barriers(view) == []
        paragraphs = view.locator("article p")
        for n, (rule, fault) in enumerate(FAULTS.items(), 2):
            one = paragraphs.nth(n)
            whole = one.evaluate("one => one.outerHTML")
            one.evaluate(fault)
            assert [found[0] for found in barriers(view)] == [rule]
            one.evaluate("(one, whole) => { one.outerHTML = whole }", whole)
        assert barriers(view) == []
