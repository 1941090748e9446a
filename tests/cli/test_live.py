import io

from rich.console import Console

from penultimate.cli.live import LiveTable


def listen(live, *, terminal):
    live.console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    live.live.console = live.console
    return live


def test_lines_where_there_is_no_terminal():
    with listen(LiveTable(), terminal=False) as live:
        for done in range(1, 4):
            live.update("train network", done, 3)
        live.update("fit cnn+knn", 0, 1)
        live.scored("cnn+knn", 0, 0.987)
    assert live.console.file.getvalue() == "train network ...\nseed 0  cnn+knn        98.70%\n"


def test_table_fills_on_a_terminal():
    with listen(LiveTable(), terminal=True) as live:
        live.update("train network", 1, 3)
        live.scored("cnn+knn", 0, 0.98)
        live.scored("cnn+knn", 1, 0.99)
        live.console.print(live.live.get_renderable())
    text = live.console.file.getvalue()
    for part in ("cnn+knn", "98.00%", "99.00%", "98.50%", "train network", "1/3"):
        assert part in text
