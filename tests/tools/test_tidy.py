"""What is stripped from an executed notebook, what stays, and how a failure reads."""

from pathlib import Path

import nbformat.v4 as v4

from tools.tidy import failure_of, tidy

WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(*outputs):
    cell = v4.new_code_cell("work()", outputs=list(outputs))
    cell.metadata.update(papermill={"duration": 1.5}, execution={}, tags=["hide-input"])
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Title"), cell])
    notebook.metadata.update(papermill={"start_time": "now"}, widgets={"state": {}})
    return notebook


def stream(name, text):
    return v4.new_output("stream", name=name, text=text)


def widget(text):
    return v4.new_output("display_data", {WIDGET: {"model_id": "a"}, "text/plain": text})


def test_progress_bars_go_in_text_and_as_widgets():
    bars = [
        stream("stderr", "Training:  10%|#         | 1/10 [00:00<00:01, 7.2it/s]\r"),
        widget("  0%|          | 0/5 [00:00<?, ?it/s]"),
    ]
    assert tidy(executed(*bars)).cells[1].outputs == []


def test_results_and_warnings_stay():
    kept = [
        stream("stdout", "rho = 0.3, 100%|"),
        stream("stderr", "UserWarning: look here"),
        v4.new_output("execute_result", {"text/plain": "1"}, execution_count=1),
    ]
    assert tidy(executed(*kept)).cells[1].outputs == kept


def test_widgets_keep_their_state_only_while_one_is_shown():
    assert "widgets" not in tidy(executed(stream("stdout", "x"))).metadata
    assert "widgets" in tidy(executed(widget("ChiExplorer(words=…)"))).metadata


def test_times_and_random_names_go_and_tags_stay():
    first, second = tidy(executed()), tidy(executed())
    assert "papermill" not in first.metadata
    assert first.cells[1].metadata == {"tags": ["hide-input"]}
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]


class CellError(Exception):
    exec_count = 3
    source = "table = run.statistics()\ntable['lair']"
    ename = "KeyError"
    evalue = "'lair'"
    traceback = ("\x1b[36mCell In[3]\x1b[39m", "File \x1b[32m/lib/frame.py:12\x1b[39m, in get(key)")


def test_a_failing_cell_is_told_in_a_few_lines():
    told = str(failure_of(CellError(), Path("notebooks/a.py"), Path("_build/a.ipynb")))
    assert told.splitlines() == [
        "notebooks/a.py failed in cell [3]:",
        "",
        "    table = run.statistics()",
        "    table['lair']",
        "",
        "KeyError: 'lair'",
        "  at /lib/frame.py:12",
        "  (run so far: _build/a.ipynb)",
    ]


def test_any_other_failure_is_told_by_its_message():
    told = failure_of(RuntimeError("Kernel died"), Path("notebooks/a.py"), Path("_build/a.ipynb"))
    assert str(told) == "notebooks/a.py failed: RuntimeError: Kernel died"
