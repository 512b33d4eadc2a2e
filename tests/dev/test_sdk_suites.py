"""What of the SDKs' own tests does not run, and where a reader finds out."""

from pathlib import Path

from dev.sdk_suites import LEFT_OUT_FILES, SUITES, LeftOut

ROOT = Path(__file__).resolve().parents[2]


def test_a_left_out_method_leaves_out_every_way_of_calling_it() -> None:
    """Plain, raw and streamed, in both clients; never a method of another name."""
    found = LeftOut("chat/test_completions.py", ("list",), "why").deselects()

    assert "chat/test_completions.py::TestCompletions::test_method_list" in found
    assert "chat/test_completions.py::TestAsyncCompletions::test_raw_response_list" in found
    assert 6 == len(found)


def test_the_page_names_everything_that_is_left_out() -> None:
    """Nobody takes the SDKs' tests for more than what runs."""
    page = (ROOT / "docs/contributing.md").read_text("utf-8")
    left_out = [*LEFT_OUT_FILES, *(one for suite in SUITES for one in suite.left_out)]

    assert len(left_out) > 5
    for one in left_out:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{one.path}`"))
        assert all(f"`{method}`" in row for method in one.methods), row
        assert one.why in row or "as above" in row, row
