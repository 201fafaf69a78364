"""The frame of every page: nothing given as text becomes a tag, and nothing is asked of the network."""

import jinja2
import pytest

from striate.pages.document import POLICY, document, environment, style


def test_what_is_given_as_text_is_escaped_and_what_is_given_as_html_is_not() -> None:
    page = document("<t>", "a & b", "<h>", "<p>body</p>", lede="<p>lede</p>", extra_style="p { color: red; }")
    assert "<title>&lt;t&gt;</title>" in page
    assert "<span>a &amp; b</span>" in page
    assert "<h1><bdi>&lt;h&gt;</bdi></h1>" in page
    assert "<p>lede</p>" in page
    assert "<main>\n<p>body</p></main>" in page
    assert page.index(str(style())) < page.index("p { color: red; }")


def test_no_page_may_ask_the_network_or_run_anything() -> None:
    assert f'content="{POLICY}"' in document("t", "c", "h", "")
    assert "default-src 'none'" in POLICY
    assert "script-src" not in POLICY
    assert "http" not in str(style())


def test_a_forbidden_character_is_replaced() -> None:
    assert "\x00" not in document("a\x00", "c", "h", "\x00")


def test_templates_have_the_words_for_numbers_and_forgive_no_unknown_name() -> None:
    made = environment("striate.train.report")
    assert made.from_string("{{ 61706 | whole }}, {{ name }}").render(name="<b>") == "61,706, &lt;b&gt;"
    with pytest.raises(jinja2.UndefinedError):
        made.from_string("{{ nothing }}").render()
